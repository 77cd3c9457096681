/**
 * For each family of rules a real application, watched in a full Debian stack with a workload that does not touch the
 * files of the rule; then something else, asked of the root that was selected. It works with the rule and fails without.
 */
interface Watched {
  readonly stack: 'languages' | 'servers'
  /** YAML of a blueprint but for its name, its stack and its probe: how the application is started, what is kept. */
  readonly yaml: string
  readonly port: number
  readonly later: readonly Later[]
}

/** Asked of the selected root. */
export interface Question {
  /** Run in the selected root; its exit status is told as `status 0` after its output. */
  readonly command: readonly string[]
  readonly input?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Account that it runs as; root unless given. */
  readonly user?: string
}

interface Later extends Question {
  readonly rule: string
  /** What its output must hold; without the rule it must not. */
  readonly says: string
}

const python = (code: string) => ['/usr/bin/python3', '-c', code]
const perl = (code: string, ...words: string[]) => ['/usr/bin/perl', ...words, '-e', code]
const ruby = (code: string) => ['/usr/bin/ruby', '-e', code]
const node = (code: string) => ['/usr/bin/node', '-e', code]
const php = (code: string, ...words: string[]) => ['/usr/bin/php', ...words, '-r', code]
const postgres = (database: string) => [
  '/usr/lib/postgresql/15/bin/postgres',
  '--single',
  ...['-D', '/var/lib/postgresql/15/main', '-c', 'config_file=/etc/postgresql/15/main/postgresql.conf', database],
]
const apacheEnvironment = {
  APACHE_RUN_USER: 'www-data',
  APACHE_RUN_GROUP: 'www-data',
  APACHE_RUN_DIR: '/run/apache2',
  APACHE_PID_FILE: '/run/apache2/apache2.pid',
  APACHE_LOCK_DIR: '/run/lock',
  APACHE_LOG_DIR: '/var/log/apache2',
}
const mariadb = ['/usr/sbin/mariadbd', '--user=mysql', '--bootstrap']

const start = (command: readonly string[], more = '') => `start: { command: ${JSON.stringify(command)} }\n${more}`

export const proofs: Readonly<Record<string, Watched>> = {
  python: {
    stack: 'languages',
    port: 7000,
    yaml: start(
      python(
        'import socket, ssl, email, curses, click\ns = socket.create_server(("0.0.0.0", 7000))\nwhile True: s.accept()[0].close()',
      ),
      'files: [ { path: /etc/nsswitch.conf, content: "passwd: files\\ngroup: compat\\n" } ]\n',
    ),
    later: [
      {
        rule: 'locales',
        command: python('import locale; print(locale.setlocale(locale.LC_ALL, "C.UTF-8"))'),
        says: 'C.UTF-8',
      },
      {
        rule: 'name-service-modules',
        command: python('import grp; print("gid", grp.getgrnam("daemon").gr_gid)'),
        says: 'gid 1',
      },
      {
        rule: 'certificates',
        command: python('import ssl; print("roots", len(ssl.create_default_context().get_ca_certs()) > 50)'),
        says: 'roots True',
      },
      {
        rule: 'python-encodings',
        command: python('print("b\\u00fccher.example".encode("idna"))'),
        says: 'xn--bcher-kva.example',
      },
      {
        rule: 'python-extensions',
        command: python('import mmap; print("page", mmap.PAGESIZE)'),
        says: 'page 4096',
      },
      {
        rule: 'python-standard-library',
        command: python(
          'import email.message; m = email.message.EmailMessage(); m["To"] = "a@b"; print(m.as_string())',
        ),
        says: 'To: a@b',
      },
      {
        rule: 'python-imports',
        command: python('import csv, io; print("row", next(csv.reader(io.StringIO("1,2"))))'),
        says: "row ['1', '2']",
      },
      {
        rule: 'python-package-metadata',
        command: python('import importlib.metadata as m; print("version", m.version("click"))'),
        says: 'version 8.1.3',
      },
      {
        rule: 'terminals',
        command: python(
          'import curses; curses.setupterm("xterm-256color"); print("colors", curses.tigetnum("colors"))',
        ),
        says: 'colors 256',
      },
    ],
  },
  gunicorn: {
    stack: 'languages',
    port: 7000,
    yaml: start(
      ['/usr/bin/gunicorn', '-b', '0.0.0.0:7000', '--chdir', '/srv', 'app:app'],
      'files: [ { path: /srv/app.py, content: "from flask import Flask\\napp = Flask(__name__)\\n" } ]\n',
    ),
    later: [
      {
        rule: 'python-packages',
        command: python('import gunicorn.workers.gthread as w; print(w.ThreadWorker.__name__)'),
        says: 'ThreadWorker',
      },
    ],
  },
  perl: {
    stack: 'languages',
    port: 7000,
    yaml: start(
      perl(
        'socket(S,PF_INET,SOCK_STREAM,0); setsockopt(S,SOL_SOCKET,SO_REUSEADDR,1); bind(S,sockaddr_in(7000,INADDR_ANY)) or die; listen(S,5); while (accept(C,S)) { close C }',
        '-MSocket',
        '-MEncode',
      ),
      'keep: ["/usr/lib/x86_64-linux-gnu/perl/5.*/{Time/HiRes,Digest/MD5,Digest/base}.pm"]\n',
    ),
    later: [
      { rule: 'perl-late-modules', command: perl('$! = 2; print $!{ENOENT} ? "no entry" : "none"'), says: 'no entry' },
      {
        rule: 'perl-encodings',
        command: perl('print "length ", length(encode("UTF-16LE", "abc"))', '-MEncode'),
        says: 'length 6',
      },
      {
        rule: 'perl-compiled-modules',
        command: perl('print "since ", int(Time::HiRes::time()) > 1e9', '-MTime::HiRes'),
        says: 'since 1',
      },
    ],
  },
  php: {
    stack: 'languages',
    port: 7000,
    yaml: start(['/usr/bin/php', '-n', '-S', '0.0.0.0:7000', '-t', '/srv']),
    later: [
      { rule: 'php-configuration', command: php('echo "length ", mb_strlen("ü");'), says: 'length 1' },
      { rule: 'php-extensions', command: php('echo "length ", mb_strlen("ü");'), says: 'length 1' },
      {
        rule: 'character-sets',
        command: php('echo iconv("ISO-8859-15", "UTF-8", "\\xa4");'),
        says: '€',
      },
      {
        rule: 'php-sessions',
        command: php('echo "writable ", var_export(is_dir("/var/lib/php/sessions"), true);', '-n'),
        says: 'writable true',
      },
    ],
  },
  ruby: {
    stack: 'languages',
    port: 7000,
    yaml: start(ruby('require "rack"; require "socket"; s = TCPServer.new("0.0.0.0", 7000); loop { s.accept.close }')),
    later: [
      {
        rule: 'ruby-encodings',
        command: ruby('puts "bytes #{"abc".encode("UTF-16LE").bytesize}"'),
        says: 'bytes 6',
      },
      { rule: 'ruby-libraries', command: ruby('require "rack"; puts Rack::Lint'), says: 'Rack::Lint' },
      {
        rule: 'ruby-late-modules',
        command: ruby('puts "letters #{"\\u00e9".unicode_normalize(:nfd).length}"'),
        says: 'letters 2',
      },
      { rule: 'ruby-requires', command: ruby('require "rack"; puts Rack::Deflater'), says: 'Rack::Deflater' },
    ],
  },
  node: {
    stack: 'languages',
    port: 7000,
    yaml: start(node('require("undici/package.json"); require("net").createServer().listen(7000)')),
    later: [
      {
        rule: 'node-packages',
        command: node('console.log("agent", typeof require("undici").Agent)'),
        says: 'agent function',
      },
      {
        rule: 'node-requires',
        command: node('console.log("agent", typeof require("undici").Agent)'),
        says: 'agent function',
      },
    ],
  },
  java: {
    stack: 'languages',
    port: 7000,
    yaml: start(
      ['/usr/bin/rmiregistry', '7000'],
      'keep: [/usr/bin/keytool, /usr/bin/java]\nfiles: [ { path: /etc/hosts, content: "127.0.0.1 localhost\\n" } ]\n',
    ),
    later: [
      {
        rule: 'java-authorities',
        command: ['/usr/bin/keytool', '-list', '-cacerts', '-storepass', 'changeit'],
        says: 'trustedCertEntry',
      },
      {
        rule: 'java-settings',
        command: ['/usr/bin/keytool', '-list', '-cacerts', '-storepass', 'changeit'],
        says: 'trustedCertEntry',
      },
      {
        rule: 'java-libraries',
        command: [
          '/usr/bin/java',
          ...['port=0', 'authenticate=false', 'ssl=false'].map((word) => `-Dcom.sun.management.jmxremote.${word}`),
          '-Djava.rmi.server.hostname=127.0.0.1',
          '-cp',
          '/',
          'java.lang.Object',
        ],
        says: 'Main method not found',
      },
    ],
  },
  postgresql: {
    stack: 'servers',
    port: 5432,
    yaml: `start:
  command: [/usr/lib/postgresql/15/bin/postgres, -D, /var/lib/postgresql/15/main, -c, config_file=/etc/postgresql/15/main/postgresql.conf]
  user: postgres
  stop: INT
writable: [ { path: /run/postgresql, owner: postgres, mode: "2775" } ]
`,
    later: [
      {
        rule: 'postgresql-extensions',
        command: postgres('postgres'),
        input: "CREATE EXTENSION hstore;\nSELECT 'a=>42'::hstore -> 'a' AS found;\n",
        user: 'postgres',
        says: 'found = "42"',
      },
      {
        rule: 'postgresql-state',
        command: postgres('template1'),
        input: 'SELECT 40 + 2 AS found;\n',
        user: 'postgres',
        says: 'found = "42"',
      },
      {
        rule: 'postgresql-tools',
        command: ['/usr/lib/postgresql/15/bin/pg_dump', '--version'],
        says: 'pg_dump (PostgreSQL) 15',
      },
      {
        rule: 'postgresql-shell',
        command: postgres('postgres'),
        input: "COPY (SELECT 40 + 2) TO PROGRAM 'read found && echo shell found $found';\n",
        user: 'postgres',
        says: 'shell found 42',
      },
      {
        rule: 'time-zones-by-name',
        command: postgres('postgres'),
        input: "SELECT ('2024-01-01 00:00+00'::timestamptz AT TIME ZONE 'Asia/Tokyo')::text AS found;\n",
        user: 'postgres',
        says: '2024-01-01 09:00:00',
      },
    ],
  },
  mariadb: {
    stack: 'servers',
    port: 3306,
    yaml: `start: { command: [/usr/sbin/mariadbd, --user=mysql, --bind-address=0.0.0.0] }
writable: [ { path: /run/mysqld, owner: mysql } ]
`,
    later: [
      {
        rule: 'mariadb-state',
        command: mariadb,
        input: 'USE mysql;\nCREATE TABLE seen AS SELECT * FROM help_topic LIMIT 5;\n',
        says: 'status 0',
      },
      {
        rule: 'mariadb-messages',
        command: [...mariadb, '--lc-messages=de_DE'],
        input: 'USE none_such;\n',
        says: 'Unbekannte Datenbank',
      },
      {
        rule: 'mariadb-plugins',
        command: mariadb,
        input: "INSTALL SONAME 'query_response_time';\n",
        says: 'status 0',
      },
    ],
  },
  apache: {
    stack: 'servers',
    port: 80,
    yaml: `start:
  command: [/usr/sbin/apache2, -D, FOREGROUND]
  environment: { APACHE_RUN_USER: www-data, APACHE_RUN_GROUP: www-data, APACHE_RUN_DIR: /run/apache2, APACHE_PID_FILE: /run/apache2/apache2.pid, APACHE_LOCK_DIR: /run/lock, APACHE_LOG_DIR: /var/log/apache2 }
writable: [ { path: /run/apache2 } ]
files:
  - path: /etc/apache2/conf-enabled/extra.conf
    content: "<IfDefine EXTRA>\\nLoadModule headers_module /usr/lib/apache2/modules/mod_headers.so\\n</IfDefine>\\n"
`,
    later: [
      {
        rule: 'apache-modules',
        command: ['/usr/sbin/apache2', '-D', 'EXTRA', '-M'],
        environment: apacheEnvironment,
        says: 'headers_module',
      },
    ],
  },
  'apache alone': {
    stack: 'servers',
    port: 7000,
    yaml: start(
      ['/usr/sbin/apache2', '-D', 'FOREGROUND', '-f', '/srv/own.conf'],
      `files:
  - path: /srv/own.conf
    content: |
      ServerName own
      Listen 7000
      PidFile /run/own.pid
      ErrorLog /dev/null
      LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
      LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
`,
    ),
    later: [
      {
        rule: 'apache-configuration',
        command: ['/usr/sbin/apache2', '-t'],
        environment: apacheEnvironment,
        says: 'Syntax OK',
      },
    ],
  },
  nginx: {
    stack: 'servers',
    port: 7000,
    yaml: start(
      ['/usr/sbin/nginx', '-c', '/srv/own.conf', '-g', 'daemon off;'],
      `files: [ { path: /srv/own.conf, content: "pid /run/own.pid;\\nevents {}\\nhttp { server { listen 7000; } }\\n" } ]
keep: [/usr/bin/su, /usr/bin/sh]
`,
    ),
    later: [
      { rule: 'nginx-modules', command: ['/usr/sbin/nginx', '-t'], says: 'test is successful' },
      { rule: 'nginx-configuration', command: ['/usr/sbin/nginx', '-t'], says: 'test is successful' },
      {
        rule: 'pam-modules',
        command: ['/usr/bin/su', '-s', '/usr/bin/sh', '-c', 'echo as $USER', 'nobody'],
        says: 'as nobody',
      },
      {
        rule: 'pam-services',
        command: ['/usr/bin/su', '-s', '/usr/bin/sh', '-c', 'echo as $USER', 'nobody'],
        says: 'as nobody',
      },
    ],
  },
  dbus: {
    stack: 'servers',
    port: 7000,
    yaml: start(
      ['/usr/bin/dbus-daemon', '--config-file=/srv/own.conf', '--nofork'],
      `files:
  - path: /srv/own.conf
    content: '<busconfig><listen>tcp:host=127.0.0.1,port=7000</listen><auth>ANONYMOUS</auth><allow_anonymous/></busconfig>'
  - path: /usr/share/dbus-1/system-services/org.example.One.service
    content: "[D-BUS Service]\\nName=org.example.One\\nExec=/usr/bin/tac --version\\n"
`,
    ),
    later: [
      {
        rule: 'dbus-configuration',
        command: ['/usr/bin/dbus-daemon', '--system', '--fork', '--print-address', '--address=unix:path=/tmp/bus'],
        says: 'unix:path=/tmp/bus',
      },
      { rule: 'dbus-activation', command: ['/usr/bin/tac', '--version'], says: 'tac (GNU coreutils)' },
    ],
  },
}
