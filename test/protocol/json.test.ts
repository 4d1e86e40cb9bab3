import { expect } from 'chai'
import fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { jsonEqual, parseJson, show, type Json } from '../../protocol/index.ts'

/** What went through JSON: without -0. */
const json = fc
  .oneof(fc.jsonValue({ maxDepth: 1 }), fc.jsonValue())
  .map((value) => JSON.parse(JSON.stringify(value)) as Json)

/** The same value with the keys of every object in another order. */
function reordered(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => reordered(item))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, reordered(inner)] as const)
  return Object.fromEntries(entries.toReversed())
}

describe('JSON', () => {
  it('is equal to itself with its keys in another order', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(jsonEqual(value, reordered(value))).to.equal(true)
      }),
    )
  })

  it('is equal exactly when node finds it so', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(jsonEqual(a, b)).to.equal(isDeepStrictEqual(a, b))
        expect(jsonEqual([a, { b }], [a, { b: a }])).to.equal(isDeepStrictEqual(a, b))
      }),
    )
  })

  const different: readonly (readonly [Json | undefined, Json | undefined])[] = [
    [undefined, null],
    [null, {}],
    [[], {}],
    [{}, []],
    [{ a: 1 }, {}],
    [{ a: 1 }, { b: 1 }],
    [{ toString: 1 }, {}],
    [JSON.parse('{"__proto__":1}') as Json, {}],
    [{}, JSON.parse('{"__proto__":{}}') as Json],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 1]],
    [0, false],
    ['1', 1],
  ]
  for (const [a, b] of different) {
    it(`${JSON.stringify(a)} differs from ${JSON.stringify(b)}`, () => {
      expect(jsonEqual(a, b)).to.equal(false)
    })
  }

  it('is read within a bound of nesting, brackets in strings aside', () => {
    expect(parseJson('[[["[[[[", {"a":"\\"]["}]]]', 4).ok).to.equal(true)
    expect(parseJson('[[[[[]]]]]', 4)).to.deep.equal({
      ok: false,
      error: 'expected at most 4 levels of nesting, got more',
    })
    expect(parseJson('[][][][]'.repeat(100), 1).ok).to.equal(false)
  })

  it('is read exactly as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(text, 100)).to.deep.equal({ ok: true, value: JSON.parse(text) as Json })
      }),
    )
  })
})

describe('show', () => {
  it('makes any value short and one line', () => {
    expect(show(undefined)).to.equal('nothing')
    expect(show('a\nb')).to.equal('"a\\nb"')
    expect(show({ a: [1] })).to.equal('{"a":[1]}')
    expect(show(() => 1)).to.equal('function')
    expect(show('x'.repeat(1000))).to.equal(`"${'x'.repeat(56)}…`)
  })
})
