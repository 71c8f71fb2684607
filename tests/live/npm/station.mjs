// A charging station that is not ours: the ocpp-rpc package from the npm registry. In its strict mode it checks every
// message of both ends by the schemas of 1.6 and 2.0.1; those of 2.1 it has, in version 2.2.1, under names that it does
// not find. It takes orders on stdin and tells on stdout what happens, as foreign_station.py does. Messages of charges
// are queued while there is no line, and leave in their order.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { RPCClient } from "ocpp-rpc";

const { values: options } = parseArgs({
  options: Object.fromEntries(
    ["url", "identity", "password", "connectors", "subprotocol"].map((name) => [name, { type: "string" }]),
  ),
});

const tell = (event, what = {}) => console.log(JSON.stringify({ event, ...what }));
const now = () => new Date().toISOString();

// -- the words of each version ----------------------------------------------------------------------------------------

const ONE_SIX = {
  boot: { chargePointVendor: "Foreign", chargePointModel: "Node" },
  status: (connector, status) => ({ connectorId: connector, errorCode: "NoError", status, timestamp: now() }),
  started: (charge) => [
    "StartTransaction",
    { connectorId: charge.connector, idTag: charge.idTag, meterStart: charge.meterStart, timestamp: charge.startedAt },
  ],
  learn: (charge, answer) => {
    charge.name = answer.transactionId;
    return answer.idTagInfo.status;
  },
  metered: (charge, wh, at) => [
    "MeterValues",
    {
      connectorId: charge.connector,
      transactionId: charge.name,
      meterValue: [{ timestamp: at, sampledValue: [{ value: String(wh) }] }],
    },
  ],
  stopped: (charge, wh, at, reason) => [
    "StopTransaction",
    { transactionId: charge.name, meterStop: wh, timestamp: at, reason },
  ],
  startAction: "RemoteStartTransaction",
  stopAction: "RemoteStopTransaction",
  startOf: (params) => ({ idTag: params.idTag, connector: params.connectorId ?? 1 }),
};

function event(charge, eventType, triggerReason, at, wh, more = {}, info = {}) {
  return [
    "TransactionEvent",
    {
      eventType,
      triggerReason,
      timestamp: at,
      seqNo: charge.seqNo++,
      offline: !online,
      transactionInfo: { transactionId: charge.name, ...info },
      evse: { id: charge.connector, connectorId: 1 },
      meterValue: [{ timestamp: at, sampledValue: [{ value: wh }] }],
      ...more,
    },
  ];
}

const TWO = {
  boot: { chargingStation: { vendorName: "Foreign", model: "Node" }, reason: "PowerUp" },
  status: (connector, status) => ({
    timestamp: now(),
    connectorStatus: status === "Available" ? status : "Occupied",
    evseId: connector,
    connectorId: 1,
  }),
  started: (charge) => {
    const remote = charge.remoteStartId !== undefined;
    const idToken = { idToken: charge.idTag, type: remote ? "Central" : "ISO14443" };
    const info = { chargingState: "Charging", ...(remote ? { remoteStartId: charge.remoteStartId } : {}) };
    const trigger = remote ? "RemoteStart" : "Authorized";
    return event(charge, "Started", trigger, charge.startedAt, charge.meterStart, { idToken }, info);
  },
  learn: (_, answer) => answer.idTokenInfo?.status,
  metered: (charge, wh, at) => event(charge, "Updated", "MeterValuePeriodic", at, wh),
  stopped: (charge, wh, at, reason) =>
    event(charge, "Ended", reason === "Remote" ? "RemoteStop" : "EVCommunicationLost", at, wh, {}, {
      stoppedReason: reason,
    }),
  startAction: "RequestStartTransaction",
  stopAction: "RequestStopTransaction",
  startOf: (params) => ({
    idTag: params.idToken.idToken,
    connector: params.evseId ?? 1,
    remoteStartId: params.remoteStartId,
  }),
};

const words = options.subprotocol === "ocpp1.6" ? ONE_SIX : TWO;

// -- the equipment ----------------------------------------------------------------------------------------------------

const meters = new Map(Array.from({ length: Number(options.connectors) }, (_, n) => [n + 1, 10_000]));
const charges = new Map();
const queue = [];
let client = null;
let online = false;
let booted = false;
let sending = Promise.resolve();

const show = (connector, status) => online && client.call("StatusNotification", words.status(connector, status));

function owe(action, payload, answered) {
  queue.push({ action, payload, answered });
  sending = sending.then(sendQueue);
  return sending;
}

async function sendQueue() {
  while (online && queue.length > 0) {
    const { action, payload, answered } = queue[0];
    // OCPP 1.6 numbers a transaction in an answer that may come after its readings were taken.
    answered(await client.call(action, typeof payload === "function" ? payload() : payload));
    queue.shift();
  }
}

const orders = {
  async connect() {
    client = new RPCClient({
      endpoint: options.url,
      identity: options.identity,
      password: options.password,
      protocols: [options.subprotocol],
      strictMode: ["ocpp1.6", "ocpp2.0.1"],
      reconnect: false,
    });
    client.on("strictValidationFailure", ({ error }) => tell("invalid", { error: String(error) }));
    client.on("badMessage", ({ error }) => tell("invalid", { error: String(error) }));
    client.handle(words.startAction, ({ params }) => answerStart(words.startOf(params)));
    client.handle(words.stopAction, ({ params }) => answerStop(params.transactionId));
    await client.connect();
    if (!booted) booted = (await client.call("BootNotification", words.boot)).status === "Accepted";
    online = true;
    for (const connector of meters.keys()) {
      await show(connector, charges.has(connector) ? "Charging" : "Available");
    }
    tell("online");
    sending = sending.then(sendQueue);
  },

  async disconnect() {
    online = false;
    await client.close({ code: 1000 });
    tell("disconnected");
  },

  async plug_in({ id_tag: idTag, connector = 1, remoteStartId }) {
    const charge = { idTag, connector, remoteStartId, meterStart: meters.get(connector), startedAt: now() };
    Object.assign(charge, { name: words === TWO ? randomUUID() : -1, seqNo: 0 });
    charges.set(connector, charge);
    const [action, payload] = words.started(charge);
    show(connector, "Charging");
    return owe(action, payload, (answer) => {
      const status = words.learn(charge, answer);
      tell("started", { connector, id_tag: idTag, transaction_id: charge.name, status, timestamp: charge.startedAt });
    });
  },

  async charge({ wh, connector = 1 }) {
    meters.set(connector, meters.get(connector) + wh);
    const charge = charges.get(connector);
    say(charge, words.metered, [meters.get(connector), now()], () => tell("metered", { connector, wh }));
  },

  async unplug({ connector = 1, reason = "Local" }) {
    const charge = charges.get(connector);
    const wh = meters.get(connector);
    charges.delete(connector);
    say(charge, words.stopped, [wh, now(), reason], () =>
      tell("stopped", { connector, id_tag: charge.idTag, energy_wh: wh - charge.meterStart, reason }),
    );
    show(connector, "Available");
  },

  async leave() {
    for (const connector of [...charges.keys()]) await orders.unplug({ connector, reason: "Other" });
    await sending;
    tell("left");
  },
};

/** Owes a message of a charge: an event of 2.x as it is now, one of 1.6 with the number that is known when it leaves. */
function say(charge, wording, what, answered) {
  if (words === TWO) {
    const [action, payload] = wording(charge, ...what);
    owe(action, payload, answered);
  } else {
    owe(wording(charge, ...what)[0], () => wording(charge, ...what)[1], answered);
  }
}

// -- what the central system asks -------------------------------------------------------------------------------------

function answerStart({ idTag, connector, remoteStartId }) {
  const status = charges.has(connector) ? "Rejected" : "Accepted";
  tell("remote_start", { id_tag: idTag, connector, verdict: status });
  if (status === "Accepted") setImmediate(() => orders.plug_in({ id_tag: idTag, connector, remoteStartId }));
  return { status };
}

function answerStop(name) {
  const charge = [...charges.values()].find((each) => each.name === name);
  tell("remote_stop", { transaction_id: name, known: charge !== undefined });
  if (charge) setImmediate(() => orders.unplug({ connector: charge.connector, reason: "Remote" }));
  return { status: charge ? "Accepted" : "Rejected" };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...order } = JSON.parse(line);
  await orders[what](order);
}
process.exit(0);
