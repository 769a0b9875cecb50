"""Where jobs run. `base.Engine` is the protocol, `local.LocalEngine` the machine that the server is on."""
