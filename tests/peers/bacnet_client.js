// npm node-bacnet's client against a device: arguments are its address and device instance; prints one line of JSON.
"use strict";
const { promisify } = require("util");
const Bacnet = require("node-bacnet");
const { ObjectType, PropertyIdentifier, ApplicationTag } = Bacnet.enum;

const [address, instance, port] = process.argv.slice(2);
const client = new Bacnet({ port: Number(port), interface: "127.0.0.1", apduTimeout: 3000 });
const SETPOINT = { type: ObjectType.ANALOG_VALUE, instance: 1 };
const PV = PropertyIdentifier.PRESENT_VALUE;

const read = promisify((id, property, options, next) => client.readProperty(address, id, property, options, next));
const readMany = promisify((wanted, next) => client.readPropertyMultiple(address, wanted, {}, next));
const write = promisify((id, values, options, next) => client.writeProperty(address, id, PV, values, options, next));
const number = (reply) => reply.values[0].value;
const refusal = (promise) => promise.then(() => "accepted", (error) => error.message);

async function main() {
  const said = {};
  const device = { type: ObjectType.DEVICE, instance: Number(instance) };
  said.instance = number(await read(device, PropertyIdentifier.OBJECT_IDENTIFIER, {})).instance;
  const wanted = [1, 2, 3, 4].map((i) => ({
    objectId: { type: ObjectType.ANALOG_INPUT, instance: i },
    properties: [{ id: PV }, { id: PropertyIdentifier.STATUS_FLAGS }],
  }));
  said.inputs = (await readMany(wanted)).values.map((each) => each.values[0].value[0].value);
  await write(SETPOINT, [{ type: ApplicationTag.REAL, value: 6.5 }], { priority: 9 });
  said.commanded = number(await read(SETPOINT, PV, {}));
  said.slot = number(await read(SETPOINT, PropertyIdentifier.PRIORITY_ARRAY, { arrayIndex: 9 }));
  await write(SETPOINT, [{ type: ApplicationTag.REAL, value: 5.0 }], { priority: 8 });
  said.stronger = number(await read(SETPOINT, PV, {}));
  for (const priority of [8, 9]) await write(SETPOINT, [{ type: ApplicationTag.NULL, value: null }], { priority });
  said.relinquished = number(await read(SETPOINT, PV, {}));
  said.unknown = await refusal(read({ type: ObjectType.ANALOG_INPUT, instance: 99 }, PV, {}));
  process.stdout.write(JSON.stringify(said) + "\n");
}

client.on("listening", () => main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
}));
