// npm modbus-serial's ServerTCP on a given port. First line of stdin: {"holding": {address: word}, "input": {...}}.
// Later lines: {"refuse": code or 0} or {"dump": [address, count]}; each is answered with one line of JSON.
"use strict";
const { ServerTCP } = require("modbus-serial");
const lines = require("readline").createInterface({ input: process.stdin });

let image = null;
let refusal = 0;
const tell = (word) => process.stdout.write(JSON.stringify(word) + "\n");

function register(table, address) {
  if (!(address in image[table])) {
    throw Object.assign(new Error("no such register"), { modbusErrorCode: 2 });
  }
  return image[table][address];
}

function take(address, words) {
  if (refusal) {
    throw Object.assign(new Error("refused"), { modbusErrorCode: refusal });
  }
  words.forEach((word, i) => register("holding", address + i) || true);
  words.forEach((word, i) => (image.holding[address + i] = word));
}

const vector = {
  getInputRegister: (address) => register("input", address),
  getHoldingRegister: (address) => register("holding", address),
  setRegister: (address, word) => take(address, [word]),
  setRegisterArray: (address, words) => take(address, words),
};

lines.on("line", (line) => {
  const said = JSON.parse(line);
  if (said.holding) {
    image = said;
    const server = new ServerTCP(vector, { host: "127.0.0.1", port: Number(process.argv[2]), unitID: 1 });
    server.on("initialized", () => tell("ready"));
  } else if (said.dump) {
    tell(Array.from({ length: said.dump[1] }, (_, i) => image.holding[said.dump[0] + i]));
  } else {
    refusal = said.refuse;
    tell("done");
  }
});
lines.on("close", () => process.exit(0));
