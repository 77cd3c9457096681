<?php
session_start();
$book = new PDO('sqlite:/var/lib/guestbook/book.sqlite', null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$book->exec('CREATE TABLE IF NOT EXISTS entry (name TEXT, text TEXT, at TEXT)');
$zone = new DateTimeZone($_GET['zone'] ?? 'UTC');
$now = new DateTimeImmutable('now', $zone);
if (isset($_GET['name'])) {
    $book->prepare('INSERT INTO entry VALUES (?, ?, ?)')
        ->execute([mb_strtoupper($_GET['name']), $_GET['text'] ?? '', $now->format(DATE_ATOM)]);
}
$entries = $book->query('SELECT * FROM entry ORDER BY at DESC LIMIT 20')->fetchAll(PDO::FETCH_ASSOC);
?>
<!doctype html>
<title>Guest book</title>
<h1>Guest book</h1>
<p>It is <?= $now->format(DATE_ATOM) ?>, and this is PHP <?= PHP_VERSION ?> from RAM.</p>
<pre><?= htmlspecialchars(json_encode($entries, JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE)) ?></pre>
