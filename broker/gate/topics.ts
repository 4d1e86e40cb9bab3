/** Whether messages can be published to a topic of this name [MQTT-4.7.3-1], [MQTT-3.3.2-2]. */
export function isTopicName(topic: string): boolean {
  return topic !== '' && !topic.includes('#') && !topic.includes('+')
}

/** Whether a filter has its wildcards where they may be [MQTT-4.7.1-2, -3] (5: [MQTT-4.7.1-1, -2]). */
export function isTopicFilter(filter: string): boolean {
  if (filter === '') return false
  if (!filter.includes('#') && !filter.includes('+')) return true
  const levels = filter.split('/')
  return levels.every((level, i) => {
    if (level === '#') return i === levels.length - 1
    return level === '+' || !(level.includes('#') || level.includes('+'))
  })
}

const SHARED = '$share/'

/** Whether a filter asks for a shared subscription; version 5 only. */
export function isShared(filter: string): boolean {
  return filter.startsWith(SHARED)
}

/** Whether a shared subscription has a name and a filter behind it [MQTT-4.8.2-1, -2]. */
export function isSharedFilter(filter: string): boolean {
  const end = filter.indexOf('/', SHARED.length)
  if (end < 0) return false
  return isTopicName(filter.slice(SHARED.length, end)) && isTopicFilter(filter.slice(end + 1))
}

/** Whether a topic or filter has no more levels than this. */
export function hasLevels(topic: string, max: number): boolean {
  if (topic.length < max) return true
  let levels = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++
  return levels <= max
}
