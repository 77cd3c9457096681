/** What the node of `prove:misses` that reaches back is given besides its blueprint. */

/** The package's own file would load the extension at once. */
const gdSettings = '/etc/php/8.2/apache2/conf.d/20-gd.ini'

/** As Debian's a2enmod and phpenmod, by a request: a program that Apache hands each path that was asked for. */
const switchProgram = `#!/bin/sh
while read -r path; do
  case $path in
    /enable/*) ln -s "../mods-available/\${path#/enable/}.load" /etc/apache2/mods-enabled/ ;;
    /extend/*) echo "extension=\${path#/extend/}" >${gdSettings} ;;
    *) continue ;;
  esac
  kill -USR1 "$(cat /run/apache2/apache2.pid)"
done
`
const switchConfiguration = `GlobalLog "|/usr/local/sbin/switch" "%U"
<IfModule headers_module>
  Header always set X-Module "headers, enabled while running"
</IfModule>
`

/** Draws a picture, with an extension that brings a library, which brings others. */
const drawing = `<?php
ob_start();
imagepng(imagecreatetruecolor(40, 30));
header('X-Drawn: ' . bin2hex(substr(ob_get_clean(), 0, 4)));
`

/** Calls code of a library that the bundle has by page, and that nothing else here calls. */
const digesting = `<?php
header('X-Digest: ' . openssl_digest('loom', 'sha3-256'));
`

export const reachFiles = [
  { path: '/etc/apache2/conf-enabled/switch.conf', content: switchConfiguration },
  { path: '/usr/local/sbin/switch', content: switchProgram, mode: '0755' },
  { path: gdSettings, content: '; not yet\n' },
  { path: '/var/www/html/draw.php', content: drawing },
  { path: '/var/www/html/digest.php', content: digesting },
]
