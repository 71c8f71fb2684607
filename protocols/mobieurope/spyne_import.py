"""What we use of spyne, imported in the one way that works on every Python we run on. The only module that imports it.

spyne 2.14, of 2022, is the newest there is. Its copy of six 1.14 serves `spyne.util.six.moves` through an import hook
that Python 3.12 no longer knows; the one module of it that we reach is therefore put in its place by hand, on every
Python, so that there is one way and not two. It also needs `cgi`, which `legacy-cgi` brings back from Python 3.13 on.
"""

from __future__ import annotations

import collections.abc
import logging
import sys
import warnings

sys.modules.setdefault("spyne.util.six.moves.collections_abc", collections.abc)

with warnings.catch_warnings():
    # cgi is deprecated, and so are the escapes in its strings
    warnings.simplefilter("ignore")
    from spyne import Application, Fault, MethodContext, Service, rpc
    from spyne.model.complex import ComplexModel
    from spyne.model.primitive import Unicode
    from spyne.protocol.soap import Soap11, Soap12
    from spyne.server import ServerBase
    from spyne.util import six

# Behind all other finders, spyne's hook would be asked for every module that does not exist, and warned about
sys.meta_path.remove(six._importer)

# spyne writes whole documents, with users and locations in them, to its log
logging.getLogger("spyne").setLevel(logging.CRITICAL)

__all__ = [
    "Application",
    "ComplexModel",
    "Fault",
    "MethodContext",
    "ServerBase",
    "Service",
    "Soap11",
    "Soap12",
    "Unicode",
    "rpc",
]
