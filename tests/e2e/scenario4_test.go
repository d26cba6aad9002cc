package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"p11-kms/tests/e2e/kube"
	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/proc"
	"p11-kms/tests/e2e/report"
)

const (
	nodes   = 3
	perNode = 40
)

// control is a control plane: three nodes of an API server and a daemon each, one etcd, one token.
type control struct {
	clusters []*cluster
	traffic  []*traffic
}

// Three nodes through a rotation: no key_id flaps, nothing is written that nobody asked for.
func TestScenario4_ThreeNodes(t *testing.T) {
	t.Parallel()
	r := result(t, "4", "three API servers, three daemons, one token, a rotation", newest)
	plane := startControlPlane(t)
	before, err := plane.clusters[0].daemon.Status()
	must(t, err)
	must(t, plane.create())
	must(t, plane.readEverywhere())

	stopWatching := plane.watchKeyIDs()
	defer stopWatching()
	count, err := plane.countWrites()
	must(t, err)
	plane.startTraffic(t)
	to, err := plane.clusters[0].daemon.Rotate()
	must(t, err)
	must(t, plane.waitFor(to))
	plane.stopTraffic(t, r, count)
	checkKeyIDs(t, r, stopWatching(), before.KeyID, to)
	must(t, plane.readEverywhere())
	plane.rewriteEverywhere(t, r, before.KeyID, to)
	countAll(t, r, plane.daemons()...)
}

func startControlPlane(t *testing.T) *control {
	t.Helper()
	p, dir := here(t), folder(t)
	shared := startEtcd(t, dir)
	token, err := plugin.NewToken(p.source, dir)
	must(t, err)
	plane := &control{}
	for i := range nodes {
		name := fmt.Sprintf("node%d", i+1)
		daemon, err := plugin.NewDaemon(p.programs, dir, name, token, plugin.Settings{ActivationDelay: "25s"})
		must(t, err)
		must(t, daemon.Init(i > 0))
		t.Cleanup(func() { stop(t, daemon) })
		must(t, daemon.Start())
		encryption := dir + "/" + name + ".encryption.yaml"
		must(t, writeExample(p.source, "identity-to-kms/4-only.yaml", encryption, daemon.Socket))
		api := newAPIServer(t, name+"-apiserver", kube.Config{
			Version: newest, Dir: dir, Etcd: shared, Encryption: encryption,
		})
		must(t, api.Start())
		plane.clusters = append(plane.clusters, &cluster{dir: dir, etcd: shared, api: api, daemon: daemon})
	}
	return plane
}

// create makes Secrets through each node: their seeds differ.
func (p *control) create() error {
	var err error
	for i, c := range p.clusters {
		err = errors.Join(err, c.api.CreateSecrets(i*perNode, perNode))
	}
	return err
}

func (p *control) readEverywhere() error {
	for _, c := range p.clusters {
		if err := c.api.ReadSecrets(nodes * perNode); err != nil {
			return fmt.Errorf("%s: %w", c.api.Name, err)
		}
	}
	return nil
}

func (p *control) daemons() []*plugin.Daemon {
	var all []*plugin.Daemon
	for _, c := range p.clusters {
		all = append(all, c.daemon)
	}
	return all
}

// countWrites begins to count the writes of Secrets in etcd; the returned function says how many there were.
func (p *control) countWrites() (func() (int, error), error) {
	shared := p.clusters[0].etcd
	before, err := shared.Writes(secretsKey)
	return func() (int, error) {
		after, err := shared.Writes(secretsKey)
		return after - before, err
	}, err
}

// startTraffic reads all Secrets through all nodes; each node writes half of its own.
func (p *control) startTraffic(t *testing.T) {
	t.Helper()
	for i, c := range p.clusters {
		p.traffic = append(p.traffic, startTrafficOn(t, c.api, nodes*perNode, i*perNode, perNode/2))
	}
}

func (p *control) stopTraffic(t *testing.T, r *report.Result, count func() (int, error)) {
	t.Helper()
	calls, asked := 0, 0
	for _, w := range p.traffic {
		n, err := w.stop()
		must(t, err)
		calls += n
		asked += w.writes
	}
	written, err := count()
	must(t, err)
	r.Fact("%d reads and writes through three API servers, none failed; %d writes asked for, %d in etcd", calls, asked, written)
	if written != asked {
		t.Errorf("%d writes asked for, %d in etcd", asked, written)
	}
}

// waitFor waits until every API server has written under the new key_id, as its metrics say. That it knows the
// key_id is not enough: it may have read an object that another one wrote.
func (p *control) waitFor(keyID string) error {
	for _, c := range p.clusters {
		err := proc.Until(patience, c.api.Name+" writes under the new key_id", func() error {
			if _, err := c.api.Readyz(); err != nil {
				return err
			}
			metrics, err := c.api.Metrics()
			if err != nil {
				return err
			}
			if !kube.HasWritten(metrics, keyIDHash(keyID)) {
				return errors.New("not in its metrics")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// watchKeyIDs asks every daemon again and again; the returned function gives the changes that each showed.
func (p *control) watchKeyIDs() func() [][]string {
	ctx, cancel := context.WithCancel(context.Background())
	seen := make([][]string, nodes)
	var group sync.WaitGroup
	for i, c := range p.clusters {
		group.Add(1)
		go func() {
			defer group.Done()
			for ctx.Err() == nil {
				if s, err := c.daemon.Status(); err == nil && s.KeyID != "" {
					seen[i] = slices.Compact(append(seen[i], s.KeyID))
				}
				time.Sleep(200 * time.Millisecond)
			}
		}()
	}
	return func() [][]string { cancel(); group.Wait(); return seen }
}

func checkKeyIDs(t *testing.T, r *report.Result, seen [][]string, from, to string) {
	t.Helper()
	for i, ids := range seen {
		if !slices.Equal(ids, []string{from, to}) {
			t.Fatalf("node %d showed the key_ids %v", i+1, ids)
		}
	}
	r.Fact("each daemon showed exactly two key_ids, in this order: %s, %s", from, to)
}

// rewriteEverywhere replaces every object unchanged through each node in turn: the first writes what is stale, the
// others have nothing to write.
func (p *control) rewriteEverywhere(t *testing.T, r *report.Result, from, to string) {
	t.Helper()
	before, err := p.clusters[0].keyIDs()
	must(t, err)
	var writes []int
	for _, c := range p.clusters {
		count, err := p.countWrites()
		must(t, err)
		must(t, c.api.RewriteSecrets(nodes*perNode))
		n, err := count()
		must(t, err)
		writes = append(writes, n)
	}
	r.Fact("%d objects replaced unchanged through each node in turn, %d of them stale: %v writes in etcd",
		nodes*perNode, before[from], writes)
	if before[from] == 0 || !slices.Equal(writes, []int{before[from], 0, 0}) {
		t.Errorf("a rewrite of %v through each node in turn wrote %v times", before, writes)
	}
	must(t, p.clusters[0].onlyUnder(to))
	r.Fact("after it every object is under %s", to)
}

// keyIDHash is the label that the API server's metrics have for a key_id.
func keyIDHash(keyID string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(keyID))) }
