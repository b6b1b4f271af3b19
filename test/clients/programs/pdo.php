<?php
// PHP's PDO, with libpq below.
$dsn = 'pgsql:host=' . getenv('PGHOST') . ';port=' . getenv('PGPORT') . ';dbname=' . getenv('PGDATABASE');
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_NUM];
$connect = fn ($more) => new PDO($dsn . $more, getenv('PGUSER'), getenv('PGPASSWORD'), $options);

function step($name, $run) {
    try {
        $values = [];
        $given = (array) $run();
        array_walk_recursive($given, function ($value) use (&$values) {
            $values[] = str_replace(' ', '_', is_bool($value) ? var_export($value, true) : (string) $value);
        });
        echo "ok $name ", implode(' ', $values), "\n";
    } catch (Exception $error) {
        echo "error $name ", $error->getCode(), ' ', preg_replace('/\s+/', ' ', $error->getMessage()), "\n";
    }
}

function failures(...$runs) {
    return array_map(function ($run) {
        try {
            $run();
            return 'none';
        } catch (PDOException $error) {
            return $error->errorInfo[0];
        }
    }, $runs);
}

function statements($file) {
    return array_filter(explode(";\n", file_get_contents(__DIR__ . "/$file")), fn ($text) => trim($text) !== '');
}

echo 'version ', PHP_VERSION, "\n";
$db = $connect(';sslmode=disable');
$execute = function ($text, $values = []) use ($db) {
    $statement = $db->prepare($text);
    $statement->execute($values);
    return $statement;
};
$rows = fn ($text, $values = []) => $execute($text, $values)->fetchAll();

step('connect', fn () => $rows('SELECT 1'));
step('tls', fn () => $connect(';sslmode=verify-full;sslrootcert=' . getenv('CLIENT_CA'))->query('SELECT 1')->fetchAll());
step('migrate', function () use ($db, $rows) {
    $declarations = getenv('CLIENT_SERVER') === 'weft' ? statements('declare.sql') : [];
    foreach ([...statements('schema.sql'), ...$declarations] as $text) $db->query($text)->closeCursor();
    return $rows('SELECT count(*) FROM account');
});
step('crud', function () use ($db, $execute, $rows) {
    $db->exec("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')");
    $insert = $db->prepare('INSERT INTO account (tenant_id, id, region, owner, balance) VALUES (?, ?, ?, ?, ?)');
    foreach (range(1, 8) as $tenant) $insert->execute([$tenant, 1, 'eu', 'ann', 100]);
    $execute('INSERT INTO memo (body) VALUES (:body)', ['body' => "it's"]);
    return [
        $rows('SELECT owner FROM account WHERE tenant_id = :tenant AND id = :id', ['tenant' => 3, 'id' => 1]),
        $execute("UPDATE account SET region = 'us' WHERE balance >= ?", [50])->rowCount(),
        $execute('DELETE FROM account WHERE tenant_id = ?', [8])->rowCount(),
        $db->lastInsertId('memo_id_seq'),
        $rows('SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name'),
    ];
});
$transfer = function ($end) use ($db, $execute, $rows) {
    $db->beginTransaction();
    foreach (range(2, 7) as $tenant) {
        $execute('UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1');
        $execute('UPDATE account SET balance = balance + 10 WHERE tenant_id = ? AND id = 1', [$tenant]);
    }
    $db->$end();
    return $rows('SELECT balance FROM account ORDER BY tenant_id');
};
step('transaction', fn () => [$transfer('commit'), $transfer('rollBack')]);
step('errors', function () use ($db, $execute) {
    $insert = fn (...$row) => $execute('INSERT INTO account (tenant_id, id, region, owner) VALUES (?, ?, ?, ?)', $row);
    return failures(
        fn () => $insert(1, 1, 'eu', 'bob'),
        fn () => $insert(1, 2, 'xx', 'bob'),
        fn () => $insert(1, 2, null, 'bob'),
        fn () => $db->exec('SELEC 1'),
    );
});
step('refusal', fn () => failures(fn () => $db->exec(getenv('CLIENT_REFUSED'))));
step('prepared', function () use ($db) {
    $statement = $db->prepare('SELECT owner, balance, ?::timestamptz, ?::text IS NULL FROM account WHERE tenant_id = ?');
    $seen = [];
    foreach ([1, 2, 3, 1] as $tenant) {
        $statement->execute(["2026-01-0$tenant", null, $tenant]);
        $seen[] = $statement->fetchAll();
    }
    return $seen;
});
step('stream', function () use ($db) {
    $lines = array_map(fn ($i) => ($i % 7 + 1) . "\t" . (101 + $i) . "\teu\to$i", range(0, 2999));
    $copied = $db->pgsqlCopyFromArray('account', $lines, "\t", '\\N', 'tenant_id, id, region, owner');
    $db->beginTransaction();
    $cursor = $db->prepare('SELECT id FROM account WHERE id > 100 ORDER BY id', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $cursor->execute();
    for ($count = $sum = 0; $row = $cursor->fetch(); $count++) $sum += $row[0];
    $last = $cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST);
    $db->commit();
    return [$copied, $count, $sum, $last, count($db->pgsqlCopyToArray('account'))];
});
step('introspection', function () use ($db) {
    $statement = $db->query('SELECT * FROM account LIMIT 0');
    $names = fn ($i) => $statement->getColumnMeta($i);
    $metas = array_map($names, range(0, $statement->columnCount() - 1));
    return array_map(fn ($meta) => "$meta[name]:$meta[native_type]:" . ($meta['table'] ?? ''), $metas);
});
