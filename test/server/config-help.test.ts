import { expect } from 'chai'
import { formatHelp } from '../../server/config/help.ts'
import { OPTIONS } from '../../server/config/options.ts'
import { listOptions } from '../../server/config/spec.ts'

describe('--help', () => {
  for (const { flag, variable, key, spec } of listOptions(OPTIONS)) {
    it(`tells ${flag}, ${variable}, ${key}, its default and what it is for`, () => {
      const lines = formatHelp(1000).split('\n')
      const row = lines.findIndex((line) => line.startsWith(`  ${flag} <`))
      const entry = lines.slice(row, row + 3).join('\n')
      expect(entry).to.include(spec.about)
      expect(entry).to.include(`\n  ${variable} `)
      expect(entry).to.include(`[${spec.default || 'not set'}]`)
      if (!spec.notInFile) expect(entry).to.match(new RegExp(` ${key}$`, 'm'))
    })
  }

  for (const columns of [80, 100]) {
    it(`fits into ${columns} columns`, () => {
      const widest = Math.max(
        ...formatHelp(columns)
          .split('\n')
          .map((line) => line.length),
      )
      expect(widest).to.be.at.most(columns)
    })
  }

  it('keeps every name apart from its sentence', () => {
    const rows = formatHelp()
      .split('\n')
      .filter((line) => /^ {2}(--|PRESENCE_)/.test(line))
    expect(
      rows.filter((line) => line.length > 39 && !/^ {2}\S+( <\S+>)? {2,}\S/.test(line)),
    ).to.deep.equal([])
  })
})
