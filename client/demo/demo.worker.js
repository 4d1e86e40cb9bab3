/* The client's worker, made to fail on request. */

self.addEventListener('message', (event) => {
  const { demo, ms } = event.data
  if (demo === undefined) return
  event.stopImmediatePropagation()
  if (demo === 'close') self.close()
  if (demo === 'freeze') {
    const until = performance.now() + ms
    while (performance.now() < until);
  }
})

await import('./client.worker.js')
