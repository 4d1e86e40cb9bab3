import { createFilterIndex } from './filter-index.ts'
import type { ReaderSubscription } from './adopt-client.ts'
import type { Subscriber } from './readers.ts'
import { SharedGroup } from './shared-group.ts'
import { filterOf, isSharedName } from './shared-name.ts'

/** All subscriptions, by what they match. */
export interface Subscribers {
  /** Adds a subscriber under the name of a filter. */
  add(name: string, subscriber: Exclude<Subscriber, SharedGroup>): void
  remove(name: string, subscriber: Exclude<Subscriber, SharedGroup>): void
  match(topic: string): ReadonlySet<Subscriber>[]
  /** The names of those that are shared. */
  shared(): Iterable<string>
}

/** Creates an empty collection. */
export function createSubscribers(): Subscribers {
  const index = createFilterIndex<Subscriber>()
  const groups = new Map<string, SharedGroup>()

  function join(name: string, member: ReaderSubscription): void {
    let group = groups.get(name)
    if (!group) {
      group = new SharedGroup(name)
      groups.set(name, group)
      index.add(filterOf(name), group)
    }
    group.add(member)
  }

  function leave(name: string, member: ReaderSubscription): void {
    const group = groups.get(name)
    group?.remove(member)
    if (!group?.isEmpty) return
    groups.delete(name)
    index.remove(filterOf(name), group)
  }

  return {
    add(name, subscriber) {
      if (isMember(name, subscriber)) join(name, subscriber)
      else index.add(filterOf(name), subscriber)
    },
    remove(name, subscriber) {
      if (isMember(name, subscriber)) leave(name, subscriber)
      else index.remove(filterOf(name), subscriber)
    },
    match: (topic) => index.match(topic),
    shared: () => groups.keys(),
  }
}

function isMember(
  name: string,
  subscriber: Exclude<Subscriber, SharedGroup>,
): subscriber is ReaderSubscription {
  return typeof subscriber !== 'function' && isSharedName(name)
}
