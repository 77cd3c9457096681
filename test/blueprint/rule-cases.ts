/**
 * What each rule of templates/rules is there for, on a few files that stand as Debian has them. Together with the other
 * rules it adds `gains`; without it, nothing does. `leaves` stand in the stack too, and nothing takes them.
 */
export interface RuleCase {
  readonly touched?: readonly string[]
  /** Files with a content that counts, touched too; a link by its target. */
  readonly files?: Readonly<Record<string, string | { readonly to: string }>>
  readonly gains: readonly string[]
  readonly leaves?: readonly string[]
}

const lib = '/usr/lib/x86_64-linux-gnu'
const python = '/usr/lib/python3.11'
const packages = '/usr/lib/python3/dist-packages'
const jvm = '/usr/lib/jvm/java-17-openjdk-amd64'
const ruby = '/usr/lib/ruby'

export const ruleCases: Readonly<Record<string, RuleCase>> = {
  accounts: { gains: ['/etc/passwd', '/etc/group', '/etc/nsswitch.conf'] },
  'name-resolution': { gains: ['/etc/hosts', '/etc/services', '/etc/protocols'] },
  'merged-usr': { gains: ['/bin', '/lib64'] },
  'runtime-directories': { gains: ['/tmp', '/run/lock', '/var/log'] },
  'mount-points': { gains: ['/proc', '/dev/shm'] },
  shell: { touched: ['/usr/bin/dash'], gains: ['/usr/bin/sh'] },
  'name-service-modules': {
    touched: [`${lib}/libc.so.6`],
    files: { '/etc/nsswitch.conf': '# comment: ldap\npasswd:  files extra\nhosts: files [NOTFOUND=return] wins dns\n' },
    gains: [`${lib}/libnss_extra.so.2`, `${lib}/libnss_wins.so.2`, `${lib}/libnss_dns.so.2`, `${lib}/libresolv.so.2`],
    leaves: [`${lib}/libnss_ldap.so.2`, `${lib}/libnss_hesiod.so.2`],
  },
  'character-sets': {
    touched: [`${lib}/libxml2.so.2.9.14`],
    gains: [`${lib}/gconv/gconv-modules.cache`, `${lib}/gconv/UTF-16.so`, `${lib}/gconv/ISO8859-1.so`],
    leaves: [`${lib}/gconv/IBM1047.so`],
  },
  locales: {
    touched: ['/usr/lib/locale/C.utf8/LC_CTYPE'],
    gains: ['/usr/lib/locale/C.utf8/LC_TIME', '/usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES'],
    leaves: ['/usr/lib/locale/de_DE.utf8/LC_TIME'],
  },
  'loader-cache': { touched: [`${lib}/ld-linux-x86-64.so.2`], gains: ['/etc/ld.so.cache'] },
  'thread-cancellation': { touched: [`${lib}/libc.so.6`], gains: [`${lib}/libgcc_s.so.1`] },
  certificates: {
    touched: [`${lib}/libssl.so.3`],
    gains: ['/etc/ssl/certs/ca-certificates.crt', '/usr/lib/ssl/cert.pem'],
    leaves: ['/etc/ssl/certs/One_Authority.pem'],
  },
  'openssl-settings': { touched: [`${lib}/libcrypto.so.3`], gains: ['/usr/lib/ssl/openssl.cnf'] },
  'openssl-providers': {
    touched: [`${lib}/libcrypto.so.3`],
    files: {
      '/etc/ssl/openssl.cnf': '[provider_sect]\ndefault = default_sect\nlegacy = legacy_sect\n# fips = fips_sect\n',
    },
    gains: [`${lib}/ossl-modules/legacy.so`],
    leaves: [`${lib}/ossl-modules/fips.so`],
  },
  'nss-modules': { touched: [`${lib}/libnss3.so`], gains: [`${lib}/libsoftokn3.so`, `${lib}/nss/libfreebl3.chk`] },
  'python-standard-library': {
    touched: [`${python}/email/__init__.py`],
    gains: [`${python}/email/header.py`],
    leaves: [`${python}/email/architecture.rst`, `${python}/idlelib/run.py`],
  },
  'python-encodings': {
    touched: [`${python}/encodings/__init__.py`],
    gains: [`${python}/encodings/idna.py`, `${python}/encodings/utf_16_le.py`],
    leaves: [`${python}/encodings/cp037.py`],
  },
  'python-extensions': {
    touched: [`${python}/encodings/__init__.py`],
    gains: [`${python}/lib-dynload/_bz2.cpython-311-x86_64-linux-gnu.so`],
    leaves: [`${python}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so`, `${python}/lib-dynload/_testcapi.so`],
  },
  'python-packages': {
    touched: [`${packages}/gunicorn/__init__.py`],
    gains: [`${packages}/gunicorn/workers/gthread.py`, `${packages}/gunicorn/data.json`],
    leaves: [`${packages}/gunicorn/tests/a.py`, `${packages}/click/core.py`],
  },
  'python-package-metadata': {
    touched: [`${packages}/one/__init__.py`],
    gains: [`${packages}/one-1.0.egg-info/entry_points.txt`, `${packages}/two-2.dist-info/METADATA`],
    leaves: [`${packages}/two-2.dist-info/LICENSE`],
  },
  'python-imports': {
    files: {
      '/srv/app/main.py':
        'import os\ndef late():\n    import csv, re\n    from yaml import load\n    import _bz2\n    import _ssl\n',
    },
    gains: [
      `${python}/csv.py`,
      `${packages}/yaml/__init__.py`,
      `${python}/lib-dynload/_bz2.cpython-311-x86_64-linux-gnu.so`,
    ],
    leaves: [`${python}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so`, `${python}/doctest.py`],
  },
  'python-sources': {
    touched: [`${python}/json/__pycache__/tool.cpython-311.pyc`],
    gains: [`${python}/json/tool.py`],
  },
  'perl-late-modules': {
    touched: ['/usr/bin/perl'],
    gains: [`${lib}/perl-base/Errno.pm`, `${lib}/perl-base/IO/File.pm`, `${lib}/perl/5.36.0/PerlIO/encoding.pm`],
    leaves: [`${lib}/perl-base/Getopt/Long.pm`],
  },
  'perl-encodings': {
    touched: [`${lib}/perl/5.36.0/Encode.pm`],
    gains: [`${lib}/perl/5.36.0/Encode/Unicode.pm`, `${lib}/perl/5.36.0/auto/Encode/Byte/Byte.so`],
    leaves: [`${lib}/perl/5.36.0/auto/Encode/JP/JP.so`],
  },
  'perl-compiled-modules': {
    touched: [`${lib}/perl/5.36.0/Digest/SHA.pm`, `${lib}/perl-base/POSIX.pm`],
    gains: [`${lib}/perl/5.36.0/auto/Digest/SHA/SHA.so`, `${lib}/perl-base/auto/POSIX/POSIX.so`],
  },
  'php-configuration': {
    touched: ['/usr/bin/php8.2'],
    gains: ['/etc/php/8.2/cli/php.ini', '/etc/php/8.2/cli/conf.d/20-mbstring.ini'],
    leaves: ['/etc/php/8.2/mods-available/other.ini'],
  },
  'php-fpm-configuration': {
    touched: ['/usr/sbin/php-fpm8.2'],
    gains: ['/etc/php/8.2/fpm/php.ini', '/etc/php/8.2/fpm/pool.d/www.conf'],
  },
  'php-apache-configuration': {
    touched: ['/usr/lib/apache2/modules/libphp8.2.so'],
    gains: ['/etc/php/8.2/apache2/php.ini', '/etc/php/8.2/apache2/conf.d/10-pdo.ini'],
    leaves: ['/etc/php/8.2/cli/php.ini'],
  },
  'php-extensions': {
    files: {
      '/etc/php/8.2/mods-available/mbstring.ini': '; priority=20\nextension=mbstring.so\n',
      '/etc/php/8.2/cli/conf.d/20-mbstring.ini': { to: '/etc/php/8.2/mods-available/mbstring.ini' },
      '/etc/php/8.2/cli/conf.d/10-opcache.ini': 'zend_extension=opcache ; compiled scripts\n;extension=ffi\n',
    },
    gains: ['/usr/lib/php/20220829/mbstring.so', '/usr/lib/php/20220829/opcache.so'],
    leaves: ['/usr/lib/php/20220829/ffi.so'],
  },
  'php-sessions': { touched: ['/usr/bin/php8.2'], gains: ['/var/lib/php/sessions'] },
  'ruby-encodings': {
    touched: [`${lib}/libruby-3.1.so.3.1`],
    gains: [`${lib}/ruby/3.1.0/enc/utf_16le.so`, `${lib}/ruby/3.1.0/enc/trans/single_byte.so`],
    leaves: [`${lib}/ruby/3.1.0/enc/shift_jis.so`],
  },
  'ruby-requires': {
    files: { '/srv/app/main.rb': "require 'set'\ndef late\n  require \"json/ext\"\nend\nautoload :Rack, 'rack'\n" },
    gains: [`${ruby}/3.1.0/set.rb`, `${lib}/ruby/3.1.0/json/ext.so`, `${ruby}/vendor_ruby/rack.rb`],
    leaves: [`${ruby}/3.1.0/csv.rb`],
  },
  'ruby-libraries': {
    touched: [`${ruby}/vendor_ruby/rack.rb`, '/usr/share/rubygems-integration/all/gems/a-1/lib/a.rb'],
    gains: [`${ruby}/vendor_ruby/rack/lint.rb`, '/usr/share/rubygems-integration/all/gems/a-1/lib/a/late.rb'],
    leaves: [`${ruby}/vendor_ruby/sinatra/base.rb`],
  },
  'ruby-late-modules': {
    touched: [`${lib}/libruby-3.1.so.3.1`],
    gains: [`${ruby}/3.1.0/unicode_normalize/tables.rb`, `${ruby}/3.1.0/pp.rb`],
    leaves: [`${ruby}/3.1.0/debug.rb`],
  },
  'node-requires': {
    files: { '/srv/app.mjs': "import x from '@a/b'\nconst y = () => require('qs/lib')\nimport './own.js'\n" },
    gains: ['/usr/share/nodejs/@a/b/package.json', '/usr/share/nodejs/qs/package.json'],
    leaves: ['/usr/share/nodejs/ms/package.json'],
  },
  'node-packages': {
    touched: ['/usr/share/nodejs/express/package.json', '/usr/share/nodejs/@types/one/package.json'],
    gains: ['/usr/share/nodejs/express/lib/late.js', '/usr/share/nodejs/@types/one/two.json'],
    leaves: ['/usr/share/nodejs/express/README.md', '/usr/share/nodejs/express/test/a.js'],
  },
  'java-settings': {
    touched: [`${jvm}/lib/server/libjvm.so`],
    gains: [`${jvm}/conf/net.properties`, `${jvm}/lib/tzdb.dat`, '/etc/java-17-openjdk/security/java.security'],
    leaves: ['/etc/java-17-openjdk/swing.properties'],
  },
  'java-libraries': {
    touched: [`${jvm}/lib/server/libjvm.so`],
    gains: [`${jvm}/lib/libmanagement_ext.so`],
    leaves: [`${jvm}/lib/libawt.so`],
  },
  'java-authorities': { touched: [`${jvm}/lib/server/libjvm.so`], gains: [`${jvm}/lib/security/cacerts`] },
  'postgresql-state': {
    touched: ['/usr/lib/postgresql/15/bin/postgres'],
    gains: ['/var/lib/postgresql/15/main/base/1/1247', '/etc/postgresql/15/main/pg_hba.conf'],
  },
  'postgresql-extensions': {
    touched: ['/usr/lib/postgresql/15/bin/postgres'],
    gains: ['/usr/share/postgresql/15/extension/hstore.control', '/usr/lib/postgresql/15/lib/hstore.so'],
    leaves: ['/usr/lib/postgresql/15/lib/llvmjit.so', '/usr/lib/postgresql/15/lib/bitcode/postgres.index.bc'],
  },
  'postgresql-tools': {
    touched: ['/usr/lib/postgresql/15/bin/postgres'],
    gains: ['/usr/lib/postgresql/15/bin/pg_dump'],
    leaves: ['/usr/lib/postgresql/15/bin/initdb'],
  },
  'postgresql-shell': { touched: ['/usr/lib/postgresql/15/bin/postgres'], gains: ['/usr/bin/sh'] },
  'mariadb-state': {
    touched: ['/usr/sbin/mariadbd'],
    gains: ['/var/lib/mysql/ibdata1', '/etc/mysql/my.cnf'],
    leaves: ['/etc/mysql/debian-start'],
  },
  'mariadb-messages': {
    touched: ['/usr/sbin/mariadbd'],
    gains: ['/usr/share/mysql/german/errmsg.sys', '/usr/share/mysql/charsets/latin1.xml'],
    leaves: ['/usr/share/mysql/fill_help_tables.sql'],
  },
  'mariadb-plugins': {
    touched: ['/usr/sbin/mariadbd'],
    gains: ['/usr/lib/mysql/plugin/auth_ed25519.so'],
    leaves: ['/usr/lib/mysql/plugin/ha_example.so'],
  },
  'redis-state': { touched: ['/usr/bin/redis-server'], gains: ['/var/lib/redis/dump.rdb', '/var/log/redis'] },
  'apache-state': { touched: ['/usr/sbin/apache2'], gains: ['/etc/mime.types', '/var/cache/apache2'] },
  'apache-configuration': {
    touched: ['/usr/sbin/apache2'],
    gains: ['/etc/apache2/envvars', '/etc/apache2/mods-enabled/dir.conf'],
    leaves: ['/etc/apache2/mods-available/ldap.conf'],
  },
  'apache-modules': {
    files: {
      '/etc/apache2/mods-available/dir.load': 'LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\n',
      '/etc/apache2/mods-enabled/dir.load': { to: '../mods-available/dir.load' },
      '/etc/apache2/conf-enabled/own.conf':
        '<IfDefine X>\n\tLoadModule x_module "modules/mod_x.so"\n</IfDefine>\n#LoadModule n modules/mod_not.so',
    },
    gains: ['/usr/lib/apache2/modules/mod_dir.so', '/usr/lib/apache2/modules/mod_x.so'],
    leaves: ['/usr/lib/apache2/modules/mod_not.so'],
  },
  'nginx-configuration': {
    touched: ['/usr/sbin/nginx'],
    gains: ['/etc/nginx/fastcgi_params', '/etc/nginx/snippets/snakeoil.conf'],
    leaves: ['/etc/nginx/sites-available/off'],
  },
  'nginx-modules': {
    files: {
      '/usr/share/nginx/modules': { to: '../../lib/nginx/modules' },
      '/etc/nginx/modules-enabled/50-echo.conf': 'load_module modules/ngx_http_echo_module.so;\n',
      '/etc/nginx/nginx.conf': 'load_module "/opt/own.so";\n# load_module modules/ngx_off.so;\n',
    },
    gains: ['/usr/lib/nginx/modules/ngx_http_echo_module.so', '/opt/own.so'],
    leaves: ['/usr/lib/nginx/modules/ngx_off.so'],
  },
  'nginx-state': { touched: ['/usr/sbin/nginx'], gains: ['/var/lib/nginx/body', '/var/log/nginx'] },
  'pam-services': {
    touched: [`${lib}/libpam.so.0`, '/usr/bin/su'],
    gains: ['/etc/pam.d/other', '/etc/pam.d/common-auth', '/etc/pam.d/su', '/etc/security/limits.conf'],
    leaves: ['/etc/pam.d/chsh'],
  },
  'pam-includes': {
    files: { '/etc/pam.d/app': 'auth include one\n@include two\n' },
    gains: ['/etc/pam.d/one', '/etc/pam.d/two'],
  },
  'pam-modules': {
    files: {
      '/etc/pam.d/app':
        '-auth [success=1 default=ignore] pam_unix.so nullok\nsession optional pam_mail.so\n#auth required pam_off.so\n',
    },
    gains: [`${lib}/security/pam_unix.so`, `${lib}/security/pam_mail.so`],
    leaves: [`${lib}/security/pam_off.so`],
  },
  'pam-passwords': {
    touched: [`${lib}/security/pam_unix.so`],
    gains: ['/etc/shadow', '/usr/sbin/unix_chkpwd'],
  },
  'dbus-configuration': {
    touched: ['/usr/bin/dbus-daemon'],
    gains: ['/usr/share/dbus-1/system.conf', '/etc/dbus-1/system.d/a.conf'],
  },
  'dbus-activation': {
    touched: ['/usr/bin/dbus-daemon'],
    files: { '/usr/share/dbus-1/system-services/a.service': '[D-BUS Service]\nName=a\nExec=/usr/libexec/a --system\n' },
    gains: ['/usr/libexec/a', '/usr/lib/dbus-1.0/dbus-daemon-launch-helper'],
  },
  'time-zone': { gains: ['/etc/localtime', '/usr/share/zoneinfo/Etc/UTC'] },
  'time-zones-by-name': {
    touched: ['/usr/sbin/mariadbd'],
    gains: ['/usr/share/zoneinfo/Europe/Paris', '/usr/share/zoneinfo/zone.tab'],
    leaves: ['/usr/share/zoneinfo/right/Europe/Paris'],
  },
  terminals: {
    touched: [`${lib}/libtinfo.so.6`],
    gains: ['/usr/lib/terminfo/x/xterm-256color', '/usr/lib/terminfo/l/linux'],
    leaves: ['/usr/lib/terminfo/w/wsvt25'],
  },
  'line-editing': { touched: [`${lib}/libreadline.so.8`], gains: ['/etc/inputrc'] },
}
