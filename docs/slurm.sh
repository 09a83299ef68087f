#!/usr/bin/env bash
# Installs Slurm on this Debian or Ubuntu machine and starts it, as a cluster of one node: for trying and for tests.
# Run as root: bash docs/slurm.sh            Stop it again: bash docs/slurm.sh stop
set -euo pipefail

if [ "${1:-start}" = stop ]; then
    scontrol shutdown
    kill "$(cat /run/munge/munged.pid)"
    exit
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes munge slurm-client slurmctld slurmd

host=$(hostname -s)
mkdir -p /etc/slurm /run/munge /var/spool/slurmctld /var/spool/slurmd
[ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
chown -R munge: /etc/munge /run/munge
chmod 400 /etc/munge/munge.key
cat > /etc/slurm/slurm.conf <<EOF
ClusterName=one
SlurmctldHost=$host
SlurmUser=root
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
JobRequeue=1
ReturnToService=2
NodeName=$host $(slurmd -C | grep -o 'CPUs=[0-9]*') State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
EOF

pgrep -x munged > /dev/null || runuser -u munge -- munged
pgrep -x slurmctld > /dev/null || slurmctld
pgrep -x slurmd > /dev/null || slurmd
for _ in $(seq 30); do
    [ "$(sinfo --noheader --format=%t 2> /dev/null)" = idle ] && break
    sleep 1
done
sinfo
