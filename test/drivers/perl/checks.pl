# DBD::mysql through the gateway, with the server's prepared statements and with the driver's own.
use strict;
use warnings;
use utf8;
use DBI;

$| = 1;

use constant { LOW => 1, HIGH => 4 };    # by the vindex hash, row 1 lies on shard -80 and row 4 on 80-
my $faces = "naïve – 日本 🐬🧭";
binmode STDERR, ':encoding(UTF-8)';

sub connect_to {
    my ($database, $server_side) = @_;
    my $dsn = "DBI:mysql:database=$database;host=$ENV{PELORUS_HOST};port=$ENV{PELORUS_PORT};mysql_server_prepare=$server_side";
    return DBI->connect($dsn, 'root', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1, mysql_enable_utf8mb4 => 1 });
}

sub flat {
    my ($v) = @_;
    return 'undef' unless defined $v;
    return ref $v ? '[' . join(', ', map { flat($_) } @$v) . ']' : "$v";
}

sub equal {
    my ($what, $got, $want) = @_;
    return if flat($got) eq flat($want);
    die substr("$what: got " . flat($got) . ', want ' . flat($want), 0, 600) . "\n";
}

sub rows {
    my ($db, $sql, @args) = @_;
    return $db->selectall_arrayref($sql, undef, @args);
}

sub fails {
    my ($db, $state, $code, $sql, @args) = @_;
    eval { $db->do($sql, undef, @args); 1 } and die "$sql: no error, want $code\n";
    equal("error of $sql", [$db->err, $db->state], [$code, $state]);
}

sub types {
    my ($db) = @_;
    $db->do('DELETE FROM kinds');
    my $bytes = join '', map { chr } 0 .. 255;
    for my $id (LOW, HIGH) {
        my @values = ($id, -2147483648, '18446744073709551615', '-12345678901234567890.0123456789', '0.5', '2024-02-29 23:59:58.123456',
            '-25:01:02', '1999-12-31', '{"a": 1}', $bytes, 'green', $faces);
        # The driver sends every prepared parameter as a blob, which MySQL does not take for JSON.
        my $s = $db->prepare('INSERT INTO kinds VALUES (' . join(', ', map { $_ == 8 ? 'CONVERT(? USING utf8mb4)' : '?' } 0 .. $#values) . ')');
        for my $i (0 .. $#values) {
            $s->bind_param($i + 1, $values[$i], $i == 9 ? DBI::SQL_BLOB : DBI::SQL_VARCHAR);
        }
        $s->execute;
        equal('types', rows($db, 'SELECT * FROM kinds WHERE id = ?', $id), [ [@values] ]);
    }
    $db->do('INSERT INTO kinds (id, txt) VALUES (?, ?)', undef, 2, undef);
    equal('nulls', rows($db, 'SELECT i, dec_, dt, bin, txt FROM kinds WHERE id = ?', 2), [ [ (undef) x 5 ] ]);
    equal('both shards', rows($db, 'SELECT id, txt FROM kinds WHERE txt = ? ORDER BY id', $faces), [ [ LOW, $faces ], [ HIGH, $faces ] ]);
    $db->do('DELETE FROM kinds');
    print "ok types\n";
}

sub transactions {
    my ($db) = @_;
    $db->do('DELETE FROM item');
    for my $ids ([ LOW, 2 ], [ LOW, HIGH ]) {
        $db->begin_work;
        equal('rows of an insert', $db->do("INSERT INTO item (id, name) VALUES (?, 'a'), (?, 'b')", undef, @$ids), 2);
        $db->rollback;
        equal('after rollback', rows($db, 'SELECT COUNT(*) FROM item'), [ [0] ]);
        $db->begin_work;
        $db->do("INSERT INTO item (id, name) VALUES (?, 'kept')", undef, $_) for @$ids;
        $db->do('SAVEPOINT s');
        equal('rows of an update', $db->do("UPDATE item SET name = 'lost'"), 2);
        $db->do('ROLLBACK TO SAVEPOINT s');
        $db->do('RELEASE SAVEPOINT s');
        $db->commit;
        equal('after commit', rows($db, 'SELECT id, name FROM item ORDER BY id'), [ map { [ $_, 'kept' ] } @$ids ]);
        equal('rows of a delete', $db->do('DELETE FROM item'), 2);
    }
    print "ok transactions\n";
}

sub errors {
    my ($db, $server_side) = @_;
    $db->do("INSERT INTO item (id, name) VALUES (?, 'x')", undef, LOW);
    fails($db, '23000', 1062, "INSERT INTO item (id, name) VALUES (?, 'y')", LOW);
    fails($db, '42000', 1064, 'SELEC 1');
    fails($db, '42S02', 1146, 'SELECT * FROM nowhere WHERE id = ?', 1);
    fails($db, '42S22', 1054, 'SELECT nothing FROM item WHERE id = ?', 1);
    eval { connect_to('no_such_db', $server_side); 1 } and die "no error from an unknown database\n";
    equal('unknown database', $DBI::err, 1049);
    $db->do('DELETE FROM item');
    equal('still alive', rows($db, 'SELECT 1'), [ [1] ]);
    print "ok errors\n";
}

sub ids {
    my ($db) = @_;
    $db->do('INSERT INTO note (txt) VALUES (?)', undef, 'first');
    my $first = $db->last_insert_id(undef, undef, 'note', 'id');
    equal('the row of the last insert id', rows($db, 'SELECT txt FROM note WHERE id = ?', $first), [ ['first'] ]);
    equal('LAST_INSERT_ID()', rows($db, 'SELECT LAST_INSERT_ID()'), [ [$first] ]);
    equal('rows of an insert', $db->do('INSERT INTO note (txt) VALUES ' . join(', ', ('(?)') x 20), undef, 1 .. 20), 20);
    equal('rows of a delete', $db->do('DELETE FROM note'), 21);
    print "ok ids\n";
}

sub big {
    my ($db) = @_;
    my $blob = "\0\xff'\\\"\n" x int((5 << 20) / 6);
    my $s = $db->prepare('INSERT INTO kinds (id, bin) VALUES (?, ?)');
    $s->bind_param(1, HIGH);
    $s->bind_param(2, $blob, DBI::SQL_BLOB);
    $s->execute;
    my $got = rows($db, 'SELECT bin FROM kinds WHERE id = ?', HIGH)->[0][0];
    die "5 MB came back as something else\n" unless $got eq $blob;
    $db->do('DELETE FROM kinds');
    print "ok big\n";
}

sub streaming {
    my ($db) = @_;
    $db->do('INSERT INTO item (id, name) VALUES ' . join(', ', map { "($_, 'row $_')" } 0 .. 1999));
    my $s = $db->prepare('SELECT id FROM item ORDER BY id', { mysql_use_result => 1 });
    $s->execute;
    equal('streamed rows', [ map { $_->[0] } @{ $s->fetchall_arrayref } ], [ 0 .. 1999 ]);
    $db->do('DELETE FROM item');
    print "ok streaming\n";
}

for my $server_side (0, 1) {
    my $db = connect_to('app', $server_side);
    types($db);
    transactions($db);
    errors($db, $server_side);
    ids($db);
    big($db);
    streaming($db) unless $server_side;    # the driver itself mixes up its commands then
    my $one = rows($db, 'SELECT CONNECTION_ID()')->[0][0];
    $db->disconnect;
    my $other = connect_to('app', $server_side);
    die "the connection is the old one\n" if rows($other, 'SELECT CONNECTION_ID()')->[0][0] == $one;
    die "no answer to a ping\n" unless $other->ping;
    $other->disconnect;
    print "ok reconnect\n";
}
