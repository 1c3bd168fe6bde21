// A small BACnet device on npm node-bacnet's codec: inputs, one commandable value with a real priority array.
// Arguments: port, device instance. Lines of stdin: {"slot": [priority, value or null]} or {"slots": true}.
"use strict";
const Bacnet = require("node-bacnet");
const { ObjectType, PropertyIdentifier, ApplicationTag, ErrorClass, ErrorCode, ConfirmedServiceChoice } = Bacnet.enum;
const lines = require("readline").createInterface({ input: process.stdin });

const ALL = 0xffffffff;
const [port, instance] = process.argv.slice(2).map(Number);
const inputs = { 1: 4.2, 2: 21.5, 3: -3.0, 4: 1234.5 };
const slots = Array(16).fill(null);
const tell = (word) => process.stdout.write(JSON.stringify(word) + "\n");
const real = (value) => ({ type: value === null ? ApplicationTag.NULL : ApplicationTag.REAL, value });
const fault = (cls, code) => Object.assign(new Error("refused"), { cls, code });

function present(objectId) {
  if (objectId.type === ObjectType.ANALOG_INPUT && objectId.instance in inputs) return real(inputs[objectId.instance]);
  if (objectId.type === ObjectType.ANALOG_VALUE && objectId.instance === 1) return real(slots.find((v) => v !== null) ?? 1.5);
  throw fault(ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT);
}

function read(objectId, property) {
  if (objectId.type === ObjectType.DEVICE && objectId.instance === instance) {
    return [{ type: ApplicationTag.OBJECTIDENTIFIER, value: objectId }];
  }
  const value = present(objectId);
  if (property.id === PropertyIdentifier.PRESENT_VALUE) return [value];
  if (property.id === PropertyIdentifier.STATUS_FLAGS) {
    return [{ type: ApplicationTag.BIT_STRING, value: { bitsUsed: 4, value: [0] } }];
  }
  if (property.id === PropertyIdentifier.PRIORITY_ARRAY && objectId.type === ObjectType.ANALOG_VALUE) {
    return property.index === ALL ? slots.map(real) : [real(slots[property.index - 1])];
  }
  throw fault(ErrorClass.PROPERTY, ErrorCode.UNKNOWN_PROPERTY);
}

function readOrError(objectId, property) {
  try {
    return read(objectId, property);
  } catch (error) {
    return [{ value: { type: "BacnetError", errorClass: error.cls, errorCode: error.code } }];
  }
}

function write(request) {
  const { objectId, value } = request.payload;
  const number = value.value[0].type === ApplicationTag.NULL ? null : value.value[0].value;
  if (objectId.type !== ObjectType.ANALOG_VALUE) throw fault(ErrorClass.PROPERTY, ErrorCode.WRITE_ACCESS_DENIED);
  if (number !== null && !(number >= 0 && number <= 15)) throw fault(ErrorClass.PROPERTY, ErrorCode.VALUE_OUT_OF_RANGE);
  slots[value.priority - 1] = number;
}

const device = new Bacnet({ port, interface: "127.0.0.1", reuseAddr: false });
const answer = (service, serve) => (request) => {
  const { sender } = request.header;
  try {
    serve(sender, request);
  } catch (error) {
    if (error.code === undefined) throw error;
    device.errorResponse(sender, service, request.invokeId, error.cls, error.code);
  }
};

device.on("readProperty", answer(ConfirmedServiceChoice.READ_PROPERTY, (sender, { invokeId, payload }) => {
  device.readPropertyResponse(sender, invokeId, payload.objectId, payload.property, read(payload.objectId, payload.property));
}));
device.on("readPropertyMultiple", answer(ConfirmedServiceChoice.READ_PROPERTY_MULTIPLE, (sender, { invokeId, payload }) => {
  device.readPropertyMultipleResponse(sender, invokeId, payload.properties.map(({ objectId, properties }) => ({
    objectId,
    values: properties.map((property) => ({ property, value: readOrError(objectId, property) })),
  })));
}));
device.on("writeProperty", answer(ConfirmedServiceChoice.WRITE_PROPERTY, (sender, request) => {
  write(request);
  device.simpleAckResponse(sender, request.service, request.invokeId);
}));
device.on("listening", () => tell("ready"));

lines.on("line", (line) => {
  const said = JSON.parse(line);
  if (said.slot) slots[said.slot[0] - 1] = said.slot[1];
  tell(Object.fromEntries(slots.map((v, i) => [i + 1, v]).filter(([, v]) => v !== null)));
});
lines.on("close", () => process.exit(0));
