"""What Alembic runs: the migrations, in the transaction of the connection that `walk` gives."""

from alembic import context

from deepft_lab.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
