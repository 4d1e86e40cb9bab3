/** What the page has to know of its server. */
export interface Settings {
  readonly root: string
  /** How long presence is held, by cause, in milliseconds. */
  readonly grace: Readonly<Record<string, number>>
}

/** Asks the server. */
export async function loadSettings(): Promise<Settings> {
  const response = await fetch('demo.json')
  return (await response.json()) as Settings
}
