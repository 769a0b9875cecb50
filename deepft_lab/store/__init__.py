"""The store: a database and files named by their content, in one folder."""
