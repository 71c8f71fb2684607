"""OCPP-J: what central systems and charging stations say to each other, as JSON over WebSocket.

From bytes to meaning, each module knowing only those above it:

    limits      every bound of this folder, by name and unit
    frames      CALL, CALLRESULT, CALLERROR and what 2.1 adds, bytes <-> values, by version (no I/O)
    schemas     payload types compiled from the OCPP JSON schemas (no I/O)
    dialect     one OCPP version as look-up tables: action -> codec (no I/O)
    fields      what messages of all versions have in common; exchanges: the shapes of most (no I/O)
    v16/        the tables of OCPP 1.6, one file per functional block (no I/O)
    v2/         the same for what 2.0.1 and 2.1 share; v201/ and v21/ are thin tables on top (no I/O)
    versions    all of these dialects by name
    transport   what rpc needs of whatever carries its messages
    rpc         remote procedure calls both ways over any transport of messages
    websocket   the server's end of a WebSocket over any trio stream
    admission   who may connect: path, Basic credentials, failures per address
    server      the central system's listener
    client      the station's own end
"""
