"""All of the program, imported: what is in the process that servers and commands are forked from.

Nothing else imports this. It stays as it is, so a fork does not look through it when it collects garbage.
"""

import gc
import pkgutil
from importlib import import_module

import app

_ONLY_WHEN_SERVING = [
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
]

for module in (*_ONLY_WHEN_SERVING, *(found.name for found in pkgutil.walk_packages(app.__path__, "app."))):
    import_module(module)
gc.collect()
gc.freeze()
