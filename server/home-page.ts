/** What a browser shows at `/`. */
export const homePage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Presence Bridge</title>
  </head>
  <body>
    <h1>Presence Bridge</h1>
    <p>It is running. MQTT over WebSocket is at <code>/mqtt</code>.</p>
    <ul>
      <li><a href="healthz">healthz</a>: the process answers</li>
      <li><a href="readyz">readyz</a>: presence is fresh</li>
      <li><a href="metrics">metrics</a>: figures for Prometheus</li>
    </ul>
  </body>
</html>
`
