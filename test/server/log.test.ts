import { expect } from 'chai'
import { formatPlain } from '../../server/log.ts'

const time = '2026-01-02T03:04:05.678Z'

describe('log lines for a person', () => {
  it('have time, level, message and fields', () => {
    const line = JSON.stringify({ level: 'info', time, port: 1883, host: '::', msg: 'listening' })
    expect(formatPlain(line)).to.equal('03:04:05.678 INFO  listening port=1883 host=::\n')
  })

  it('quote what has spaces or line breaks', () => {
    const line = JSON.stringify({
      level: 'warn',
      time,
      user: 'a b\n',
      grace: { left: 0 },
      msg: 'x',
    })
    expect(formatPlain(line)).to.equal('03:04:05.678 WARN  x user="a b\\n" grace={"left":0}\n')
  })

  it('end with the stack of an error', () => {
    const line = JSON.stringify({
      level: 'fatal',
      time,
      err: { stack: 'Error: x\n at y' },
      msg: 'no',
    })
    expect(formatPlain(line)).to.equal('03:04:05.678 FATAL no\nError: x\n at y\n')
  })
})
