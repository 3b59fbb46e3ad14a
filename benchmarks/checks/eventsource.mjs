// Prints what npm's `eventsource` shows of a stream, one line of JSON each. `node eventsource.mjs <url>`

import { EventSource } from 'eventsource'

const source = new EventSource(process.argv[2])
for (const type of ['hello', 'skill.captured', 'skill.revised', 'skill.retired', 'reset']) {
  source.addEventListener(type, (event) => console.log(JSON.stringify([event.type, event.lastEventId])))
}
source.addEventListener('error', (event) => {
  if (source.readyState === EventSource.CLOSED) console.log(JSON.stringify(['gave up', String(event.code)]))
})
