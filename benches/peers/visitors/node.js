// Node's own client, a connection for each visit.
const http = require('http');
const lines = require('readline').createInterface({ input: process.stdin });
const say = (line) => process.stdout.write(line + '\n');

lines.on('line', () => {
  const request = http.get(process.argv[2], { agent: false }, (answer) => {
    answer.on('end', () => say('ok'));
    answer.resume();
  });
  request.on('error', (error) => say(String(error.message || error.code)));
});
say('ready');
