/** A server that greets whoever comes, as a program of its own: `bun listener.ts PORT`. */
Bun.listen({
  hostname: '0.0.0.0',
  port: Number(process.argv[2]),
  socket: {
    open(socket) {
      socket.end('SSH-2.0-lab\r\n');
    },
    data() {},
  },
});
console.log('listening');
