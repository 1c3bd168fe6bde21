// One WebSocket, opened again with a growing pause; a link that says nothing for a while counts as lost.

const SILENCE_MS = 3_500; // the server says something each second
const LONGEST_PAUSE_MS = 10_000;

export function connect(url, { onMessage, onLost }) {
  let pause = 500;
  let watch;

  const open = () => {
    const socket = new WebSocket(url);
    const askFull = () => socket.readyState === WebSocket.OPEN && socket.send("full");
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        onLost();
        socket.close();
      }, SILENCE_MS);
    };
    alive();
    socket.onmessage = ({ data }) => {
      pause = 500;
      alive();
      onMessage(JSON.parse(data), askFull);
    };
    socket.onclose = () => {
      clearTimeout(watch);
      onLost();
      setTimeout(open, pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    };
  };
  open();
}
