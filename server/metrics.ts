import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Figures by what they are about. */
export type MetricGroups = Readonly<Record<string, Readonly<Record<string, number>>>>

/** The media type of what {@link formatMetrics} writes. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What the parts tell that goes up and down; everything else only ever grows. */
const GAUGES: ReadonlySet<string> = new Set([
  'brokers',
  'clusterUp',
  'connections',
  'eventLoopDelayMaxSeconds',
  'otherBridges',
  'ready',
  'residentMemoryBytes',
  'retained',
  'retainedOutside',
  'rooms',
  'sessions',
  'startTimeSeconds',
  'storeReady',
  'up',
  'waitingInputs',
])

/**
 * Writes figures for Prometheus: `{broker: {connections: 3, connects: 9}}` is the gauge
 * `presence_broker_connections 3` and the counter `presence_broker_connects_total 9`.
 */
export function formatMetrics(groups: MetricGroups): string {
  const lines = Object.entries(groups).flatMap(([group, figures]) =>
    Object.entries(figures).flatMap(([figure, value]) => {
      const isGauge = GAUGES.has(figure)
      const name = metricName(group, isGauge ? figure : `${figure}_total`)
      return [`# TYPE ${name} ${isGauge ? 'gauge' : 'counter'}`, `${name} ${value}`]
    }),
  )
  return `${lines.join('\n')}\n`
}

function metricName(group: string, figure: string): string {
  const snake = figure.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  // What every program has is named as every program names it.
  return group === 'process' ? `process_${snake}` : `presence_${group}_${snake}`
}

const loopDelay = monitorEventLoopDelay({ resolution: 10 })
loopDelay.enable()

/** What the operating system and the runtime say of this process. */
export function processMetrics(): Record<string, number> {
  const { user, system } = process.cpuUsage()
  const delayMaxSeconds = loopDelay.max / 1e9
  loopDelay.reset()
  return {
    // Since this was asked last.
    eventLoopDelayMaxSeconds: delayMaxSeconds,
    cpuSeconds: (user + system) / 1e6,
    residentMemoryBytes: process.memoryUsage.rss(),
    startTimeSeconds: Math.round(performance.timeOrigin) / 1000,
  }
}
