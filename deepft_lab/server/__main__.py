"""`python -m deepft_lab.server`: the headless server."""

from deepft_lab.server.headless import main

main()
