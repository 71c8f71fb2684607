"""MOBI.Europe between operators: SOAP 1.2 document/literal, both modules, all eight operations.

```
bytes -> envelope.py (safe XML) -> messages.py (spyne, XSD) -> mapping.py -> vocabulary     server.py, the door
vocabulary -> mapping.py -> client.py (zeep) -> envelope.py, XSD -> mapping.py -> outcome   client.py, the way out
```

`contract.py` holds the two WSDLs and the schemas compiled from them: what both ends are judged by.
"""
