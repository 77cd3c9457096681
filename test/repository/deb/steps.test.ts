import { expect, test } from 'vitest'
import { parseStanzas } from '../../../src/repository/deb/control.ts'
import { stepsOf } from '../../../src/repository/deb/steps.ts'

const stanzas = parseStanzas(`
Package: dpkg
Essential: yes
Pre-Depends: libc6 (>= 2.34)

Package: apt
Depends: libc6, gpgv | sqv

Package: gpgv
Depends: libc6

Package: libc6

Package: web
Depends: libweb (>= 1), perl:any, virtual-mailer | mailer

Package: libweb
Depends: libc6

Package: perl

Package: exim
Provides: virtual-mailer (= 4)

Package: shop
Depends: web, libshop

Package: libshop
Depends: shop

Package: stray
`)

test('what is essential comes first, with apt, then each package asked for with what it needs and no earlier one had', () => {
  expect(stepsOf(stanzas, ['web', 'shop=1.2'])).toEqual([
    ['apt', 'dpkg', 'gpgv', 'libc6'],
    ['exim', 'libweb', 'perl', 'web'],
    ['libshop', 'shop'],
    ['stray'],
  ])
})

test('the first steps do not depend on what is asked for after them', () => {
  expect(stepsOf(stanzas, ['web']).slice(0, 2)).toEqual(stepsOf(stanzas, ['web', 'shop']).slice(0, 2))
  expect(stepsOf(stanzas, ['shop', 'web']).slice(1)).toEqual([
    ['exim', 'libshop', 'libweb', 'perl', 'shop', 'web'],
    ['stray'],
  ])
})
