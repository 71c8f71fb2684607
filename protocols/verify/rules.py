"""What a partner must keep to: every rule by its name, as a sentence, with where it comes from.

The contract is MOBI.Europe's WSDLs; "chart" are the states of a transaction that both sides share (docs/charts.md);
"delivery" and "trust" are what makes a charge record neither lost nor doubled, and gives strangers nothing.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """`role` is whose rule it is: destination, source or both. `needs` tells people what it takes to try it beyond
    the partner's address: a station, an app, or flows of malformed or hostile messages.
    """

    id: str
    role: str
    sentence: str
    source: str
    needs: str = ""


RULES: tuple[Rule, ...] = (
    # -- the wire ------------------------------------------------------------------------------------------------------
    Rule("wsdl-served", "both", "The service describes itself by its contract's WSDL.", "contract"),
    Rule("answered", "both", "Every request is answered in time.", "HTTP"),
    Rule("no-fault", "both", "A sound request is never answered by a Fault or a bare HTTP error.", "contract: errors"),
    Rule("soap-answer", "both", "SOAP 1.2 is answered by SOAP 1.2, as application/soap+xml.", "SOAP 1.2 part 2, 7"),
    Rule("schema-answer", "both", "Every answer satisfies the contract's schema.", "contract"),
    Rule("whole-answer", "destination", "An answer holds what was asked for, or a ResponseError.", "contract: errors"),
    Rule(
        "error-code", "both", "An errorCode is an HTTP status number from 400 on, with a message.", "contract: errors"
    ),
    Rule("schema-request", "both", "Every request of the partner satisfies the contract's schema.", "contract"),
    Rule("soap-request", "both", "The partner calls in SOAP 1.2, as application/soap+xml.", "contract"),
    Rule("own-credentials", "both", "The partner presents the credentials agreed on.", "trust"),
    # -- malformed -----------------------------------------------------------------------------------------------------
    Rule(
        "malformed-refused",
        "both",
        "What breaks the contract is refused as the sender's fault.",
        "SOAP 1.2 part 1, 5",
        "malformed",
    ),
    Rule(
        "doctype-refused",
        "both",
        "A document type is refused, whatever it declares.",
        "SOAP 1.2 part 1, 5",
        "malformed",
    ),
    Rule("oversized-refused", "both", "A message beyond all measure is refused.", "trust", "malformed"),
    Rule(
        "old-soap", "both", "SOAP 1.1 is answered in SOAP 1.1, or refused.", "SOAP 1.2 part 1, appendix A", "malformed"
    ),
    # -- hostile -------------------------------------------------------------------------------------------------------
    Rule("stranger-refused", "both", "Without the right credentials nothing is done: 401 or 403.", "trust", "hostile"),
    Rule("stranger-unread", "both", "The credentials are checked before the message is read.", "trust", "hostile"),
    Rule(
        "other-operator", "destination", "A pmsIdentifier other than the caller's own is refused.", "trust", "hostile"
    ),
    # -- authorise -----------------------------------------------------------------------------------------------------
    Rule("grants", "destination", "A station that is online and free is authorised.", "chart"),
    Rule("fresh-name", "destination", "No authorizationIdentifier is given twice.", "contract: authorize"),
    Rule("connector-optional", "destination", "connectorIdentifier may be left out.", "contract: authorize"),
    Rule("real-station", "destination", "Only a station that there is is authorised.", "contract: authorize"),
    Rule("real-connector", "destination", "Only a connector that there is is authorised.", "contract: authorize"),
    Rule("free-connector", "destination", "A connector in use is not authorised again.", "chart", "station"),
    Rule("no-parking", "destination", "Parking is not authorised as if it were charging.", "contract: ServiceType"),
    Rule("named-user", "destination", "An authorisation names its user.", "contract: authorize"),
    Rule("status-true", "destination", "The local service's status is shown, and an unknown one refused.", "contract"),
    Rule("list-true", "destination", "The list of local services holds the service that there is.", "contract"),
    # -- start and stop ------------------------------------------------------------------------------------------------
    Rule("takes-start", "destination", "A start is taken where the chart takes it.", "chart"),
    Rule("takes-stop", "destination", "A stop is taken where the chart takes it.", "chart"),
    Rule("used-once", "destination", "An authorisation that was used is not started again.", "chart"),
    Rule("stop-needs-charge", "destination", "A stop before the start is refused, and reaches no station.", "chart"),
    Rule("over-is-over", "destination", "A stop after the end is refused.", "chart"),
    Rule("names-differ", "destination", "A stop cannot have the requestIdentifier of a start.", "chart"),
    Rule("own-authorization", "destination", "Only an authorisation of the caller is started or stopped.", "trust"),
    Rule("reaches-station", "destination", "A start or stop that was taken reaches the station.", "chart", "station"),
    Rule(
        "one-remote-start",
        "destination",
        "A start reaches the station once, however often it is asked.",
        "chart",
        "station",
    ),
    Rule("no-stray-command", "destination", "The station is told nothing that nobody was granted.", "chart", "station"),
    Rule("station-served", "destination", "Whatever a station reports is answered.", "OCPP 1.6, 4", "station"),
    Rule(
        "own-start-accepted",
        "destination",
        "The charge that was asked for is accepted when it starts.",
        "chart",
        "station",
    ),
    # -- reports -------------------------------------------------------------------------------------------------------
    Rule("result-told", "destination", "Every start and stop that was taken is told its result.", "delivery"),
    Rule("result-true", "destination", "The result that is told is what the station did.", "chart"),
    Rule("result-asked", "destination", "No result is told of what was not asked or not taken.", "contract: notify"),
    Rule("progress-sent", "destination", "A charge that is metered is reported while it runs.", "delivery", "station"),
    Rule("progress-true", "destination", "Progress is of this charge, and never ahead of its meter.", "contract"),
    Rule("end-sent", "destination", "Every charge has its endTransaction, whoever ended it.", "delivery"),
    Rule("end-once", "destination", "A repeated endTransaction says the same.", "delivery"),
    Rule(
        "end-of-charge", "destination", "There is no endTransaction without a charge that ended.", "delivery", "station"
    ),
    Rule(
        "end-energy",
        "destination",
        "The charge record holds the energy that the station metered.",
        "delivery",
        "station",
    ),
    Rule("end-names", "destination", "It names both operators, the user, the service and its state.", "contract"),
    Rule("end-times", "destination", "Its times are those of the charge.", "contract: endTransaction", "station"),
    Rule("report-repeated", "destination", "A report that was not acknowledged is sent again.", "delivery"),
    # -- Source --------------------------------------------------------------------------------------------------------
    Rule("asks-to-authorize", "source", "The app's authorize of its user is asked of the Destination.", "chart", "app"),
    Rule("app-answered", "source", "The app is answered, whatever the Destination does.", "delivery", "app"),
    Rule("refusal-reaches-app", "source", "What the Destination refuses is refused to the app.", "chart", "app"),
    Rule("grant-reaches-app", "source", "What the Destination grants is granted to the app.", "chart", "app"),
    Rule(
        "asks-in-own-name", "source", "authorize names the caller, the user and the place asked for.", "contract", "app"
    ),
    Rule("asks-once-granted", "source", "The app's start and stop reach the Destination.", "chart", "app"),
    Rule("asks-again", "source", "A start or stop without an answer is sent again, as the same.", "delivery", "app"),
    Rule("takes-report", "source", "A true report of a transaction is acknowledged, early or late.", "delivery", "app"),
    Rule("repeat-is-harmless", "source", "A repeated report is acknowledged and changes nothing.", "delivery", "app"),
    Rule("first-record-stands", "source", "A second charge record with other content is refused.", "delivery", "app"),
    Rule("own-transactions-only", "source", "A report of what there is not is refused.", "trust"),
    Rule("same-parties", "source", "A report of another user, operator or service is refused.", "trust", "app"),
    Rule("shows-state", "source", "The app is shown the state that was reported.", "chart", "app"),
)

BY_ID = {rule.id: rule for rule in RULES}
