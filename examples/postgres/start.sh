#!/bin/sh
# Starts a PostgreSQL server of compose.yaml. The primary starts as ever; the other one copies it first, and follows it.
# A data folder that is there is started as it is: whether it is the primary or a standby stands in it.
set -eu
if [ "$POSTGRES_NAME" != "$POSTGRES_PRIMARY" ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    until
        rm -rf "$PGDATA.new"
        pg_basebackup --pgdata="$PGDATA.new" --write-recovery-conf --checkpoint=fast \
            --dbname="host=$POSTGRES_PRIMARY port=${PGPORT:-5432} user=replicator application_name=standby"
    do
        sleep 1
    done
    # The copy has the primary's settings. Promoted, it must not wait for a standby that is not there.
    echo "synchronous_standby_names = ''" >>"$PGDATA.new/postgresql.auto.conf"
    mkdir -p "$(dirname "$PGDATA")"
    rm -rf "$PGDATA"
    mv "$PGDATA.new" "$PGDATA"
fi
exec docker-entrypoint.sh "$@"
