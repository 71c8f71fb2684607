"""The API as a tool of others finds it: schemathesis asks a served house what the document allows, and what not."""
