/** Where publications go that must not reach anybody: no filter matches it without naming `$`. */
export const NOWHERE = '$presence/nowhere'

/** Why a message is not published, for a version 5 client that is told by a reason code. */
export class PublicationRefusal extends Error {
  readonly reasonCode: number

  constructor(message: string, reasonCode: number) {
    super(message)
    this.name = 'PublicationRefusal'
    this.reasonCode = reasonCode
  }
}
