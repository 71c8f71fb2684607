"""What a person at a terminal says to a node, and hears from it.

`commands` are what can be asked of `node.py`, `starter` is what they need of it, and how they end when they cannot be
done. Beside them:

    store_commands       the node's store: brought up to date, backed up, copied
    station              simulated charging stations
    ctl                  the operator's API: `ctl_table` has the commands, `ctl_client` asks, `ctl_body` makes bodies of
                         words, `ctl_shown` tables
    documents            the pages under docs/ that are made of what runs
    listeners, logs      the sockets and the log that a configuration names
    version              which release this is

`demo` plays two operators and six stations; each module beside it knows one thing about that:

    demo_operators       their ports, fresh secrets and configurations
    demo_processes       started, listened to, always ended
    demo_api             the app and the control room
    demo_timeline        what happens, in four columns
    demo_record          the charge record at all three, and whether they agree
    demo_guide           lines of curl to go on with

`config.load_config` reads the configuration; the modules beside it each know one thing about it:

    config_types         the kinds of values, and what is wrong with one
    config_sections      the tables, key by key
    config_environment   variables laid over the file
    config_checks        what must hold between values
    config_reach         what must hold between values and the world: addresses, ports, certificates, folders
    config_problems      what is wrong, in people's words
    config_document      the table of all keys
"""
