"""DeepFT Lab alone: a Jupyter server on loopback without kernels, terminals, files and notebooks.

    jupyter deepft [--port N] [--ends-when-idle] [--DeepFTLab.store_path=...]

It reads the same configuration files as any Jupyter server, but answers nothing beside `/deepft/api`, login and status.
"""

from __future__ import annotations

import sys

from jupyter_server.serverapp import ServerApp

from deepft_lab.server.extension import DeepFTLab

IDLE_SECONDS = 60

# What configuration files cannot change (they are written for servers with kernels); the command line can.
FIRST = {
    "ip": "127.0.0.1",
    "open_browser": "False",
    "allow_root": "True",  # there are no kernels to protect from
}


class HeadlessServer(ServerApp):
    """Only what signing in, status and ending it need."""

    no_browser_open_file = True
    default_services = ("api", "auth", "security", "shutdown")  # type: ignore[assignment]

    def init_configurables(self) -> None:
        super().init_configurables()
        self.contents_manager.files_handler_class = None  # no /files/

    def init_resources(self) -> None:
        """The open-file limit is for kernels; there are none."""

    def running_server_info(self, kernel_count: bool = True) -> str:
        return f"DeepFT Lab serves at {self.display_url}"


class Headless(DeepFTLab):
    """Starts the extension in a server of its own."""

    serverapp_class = HeadlessServer
    load_other_extensions = False


def main(argv: list[str] | None = None) -> None:
    """Serves until it is ended."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    given = {argument.partition("=")[0] for argument in arguments}
    for name, value in FIRST.items():
        if not given & {f"--{name}", f"--ServerApp.{name}"}:
            arguments.append(f"--ServerApp.{name}={value}")
    if "--ends-when-idle" in arguments:
        arguments.remove("--ends-when-idle")
        arguments.append(f"--DeepFTLab.idle_seconds={IDLE_SECONDS}")
    Headless.launch_instance(arguments)
