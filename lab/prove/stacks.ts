import type { Context } from '../../src/change/context.ts'
import type { Component } from '../../src/repository/component.ts'
import { loadComponent } from '../../src/repository/recorded.ts'
import { updateStack } from '../../src/repository/update.ts'

/** Kept from run to run: installing the stacks takes minutes. */
export const state = '/var/lib/bootloom-prove'

const packages = {
  languages:
    'python3-flask gunicorn perl php8.2-cli php8.2-mbstring php8.2-xml ruby ruby-rack nodejs openjdk-17-jre-headless curl ca-certificates tzdata ncurses-bin ncurses-term libterm-readline-gnu-perl less locales',
  servers:
    'apache2 libapache2-mod-php8.2 nginx-light libnginx-mod-http-echo postgresql mariadb-server dbus libpam-pwquality openssl ca-certificates tzdata curl',
} as const

export const stackNames = Object.keys(packages) as (keyof typeof packages)[]

export interface Installed {
  readonly update: Awaited<ReturnType<typeof updateStack>>
  readonly components: readonly Component[]
}

export async function install(name: keyof typeof packages, context: Context): Promise<Installed> {
  const deb = { suite: 'bookworm', updates: true, security: true, packages: packages[name].split(' ') }
  const update = await updateStack({ stack: [{ deb }], kernel: { flavour: 'cloud' } }, context, () => {})
  const components = await Promise.all(update.stack.components.map((ref) => loadComponent(ref, context.store)))
  return { update, components }
}
