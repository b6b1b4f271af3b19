# Perl's DBI with DBD::Pg.
use strict;
use warnings;
use DBI;
use DBD::Pg ':async';
use File::Basename;

$| = 1;
my %options = (RaiseError => 1, PrintError => 0, AutoCommit => 1);
my $connect = sub { DBI->connect("dbi:Pg:$_[0]", '', '', {%options}) };

sub step {
    my ($name, $run) = @_;
    my @values = eval { $run->() };
    if ($@) {
        my $why = $@ =~ s/\s+/ /gr;
        print "error $name ", ($DBI::state || ''), " $why\n";
        return;
    }
    print "ok $name ", join(' ', map { (defined $_ ? $_ : 'NULL') =~ s/ /_/gr } @values), "\n";
}

sub failures {
    return map { eval { $_->(); 1 } ? 'none' : $DBI::state } @_;
}

sub statements {
    open(my $file, '<', dirname($0) . "/$_[0]") or die;
    local $/;
    return grep { /\S/ } split /;\n/, <$file>;
}

print "version $DBD::Pg::VERSION\n";
my $db = $connect->('sslmode=disable');
my $rows = sub { my ($text, @values) = @_; map { @$_ } @{$db->selectall_arrayref($text, undef, @values)} };
my $insert = sub {
    $db->do('INSERT INTO account (tenant_id, id, region, owner, balance) VALUES (?, ?, ?, ?, ?)', undef, @_);
};

step('connect', sub { $rows->('SELECT 1') });
step('tls', sub {
    my $tls = $connect->("sslmode=verify-full;sslrootcert=$ENV{CLIENT_CA}");
    return $tls->selectrow_array('SELECT 1');
});
step('migrate', sub {
    my @declarations = $ENV{CLIENT_SERVER} eq 'weft' ? statements('declare.sql') : ();
    $db->do($_) for statements('schema.sql'), @declarations;
    return $rows->('SELECT count(*) FROM account');
});
step('crud', sub {
    $db->do("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')");
    $insert->($_, 1, 'eu', 'ann', 100) for 1 .. 8;
    my @seen = $rows->('SELECT owner FROM account WHERE tenant_id = ? AND id = ?', 3, 1);
    push @seen, $db->do("UPDATE account SET region = 'us' WHERE balance >= ?", undef, 50);
    push @seen, $db->do('DELETE FROM account WHERE tenant_id = ?', undef, 8);
    $db->do('INSERT INTO memo (body) VALUES (?)', undef, "it's");
    push @seen, $db->last_insert_id(undef, undef, 'memo', undef);
    return @seen, $rows->('SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name');
});
my $transfer = sub {
    my ($end) = @_;
    $db->begin_work;
    for my $tenant (2 .. 7) {
        $db->do('UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1');
        $db->pg_savepoint('one');
        $db->do('UPDATE account SET balance = balance + 10 WHERE tenant_id = ? AND id = 1', undef, $tenant);
        $db->pg_release('one');
    }
    $db->$end;
    return $rows->('SELECT balance FROM account ORDER BY tenant_id');
};
step('transaction', sub { ($transfer->('commit'), $transfer->('rollback')) });
step('errors', sub {
    failures(
        sub { $insert->(1, 1, 'eu', 'bob', 0) },
        sub { $insert->(1, 2, 'xx', 'bob', 0) },
        sub { $insert->(1, 2, undef, 'bob', 0) },
        sub { $db->do('SELEC 1') },
    );
});
step('refusal', sub { failures(sub { $db->do($ENV{CLIENT_REFUSED}) }) });
step('prepared', sub {
    my $text = 'SELECT owner, balance, ?::timestamptz, ?::text IS NULL FROM account WHERE tenant_id = ?';
    my $statement = $db->prepare($text, {pg_prepare_now => 1});
    my @seen;
    for my $tenant (1, 2, 3, 1) {
        $statement->execute("2026-01-0$tenant", undef, $tenant);
        push @seen, map { @$_ } @{$statement->fetchall_arrayref};
    }
    return @seen;
});
step('stream', sub {
    $db->do('COPY account (tenant_id, id, region, owner) FROM STDIN');
    $db->pg_putcopydata(join("\t", $_ % 7 + 1, 100 + $_, 'eu', "o$_") . "\n") for 1 .. 3000;
    $db->pg_putcopyend;
    $db->begin_work;
    $db->do('DECLARE c CURSOR FOR SELECT id FROM account WHERE id > 100 ORDER BY id');
    my ($count, $sum) = (0, 0);
    while (my @ids = $rows->('FETCH 100 FROM c')) {
        $count += @ids;
        $sum += $_ for @ids;
    }
    $db->commit;
    $db->do('COPY memo TO STDOUT');
    my ($line, @lines) = ('');
    push @lines, $line =~ s/\s+/:/gr while $db->pg_getcopydata($line) >= 0;
    return $count, $sum, @lines;
});
step('introspection', sub {
    my $columns = $db->column_info(undef, 'public', 'account', '%')->fetchall_arrayref({});
    my @columns = map { "$_->{COLUMN_NAME}:$_->{pg_type}:$_->{IS_NULLABLE}" } @$columns;
    my $foreign = $db->foreign_key_info(undef, undef, undef, undef, 'public', 'account')->fetchall_arrayref({});
    return $db->tables(undef, 'public', '%', 'TABLE'), @columns, $db->primary_key(undef, 'public', 'account'),
        map { "$_->{FK_COLUMN_NAME}:$_->{UK_TABLE_NAME}" } @$foreign;
});
$db->disconnect;
