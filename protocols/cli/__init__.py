"""What a person at a terminal says to a node, and hears from it.

`commands` are what can be asked of `node.py`. `config.load_config` reads the configuration; the modules beside it each
know one thing about it:

    config_types         the kinds of values, and what is wrong with one
    config_sections      the tables, key by key
    config_environment   variables laid over the file
    config_checks        what must hold between values
    config_reach         what must hold between values and the world: addresses, ports, certificates, folders
    config_problems      what is wrong, in people's words
    config_document      the table of all keys
"""
