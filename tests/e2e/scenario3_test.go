package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/proc"
	"p11-kms/tests/e2e/report"
)

const (
	rotated    = 200
	activation = 25 * time.Second
	poll       = 75 * time.Second // of the API server: 60 s, and what two busy cores add
)

// A rotation while writes run, seen by three API servers of different versions on one daemon; then everything
// is rewritten.
func TestScenario3_Rotate(t *testing.T) {
	t.Parallel()
	daemon := startDaemon(t, plugin.Settings{ActivationDelay: "25s"})
	before, err := daemon.Status()
	must(t, err)
	var all []*rotation
	for _, version := range versions {
		c := startCluster(t, version, daemon)
		must(t, c.api.CreateSecrets(0, rotated))
		traffic := startTraffic(t, c.api, rotated)
		all = append(all, &rotation{cluster: c, from: before.KeyID, traffic: traffic, switched: make(chan switched, 1)})
	}
	calls, err := daemon.Calls()
	must(t, err)
	start := time.Now()
	to, err := daemon.Rotate()
	must(t, err)
	for _, x := range all {
		x.to = to
		go func() { x.switched <- x.awaitSwitch(start) }()
	}
	for i, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := result(t, "3", "rotation under writes, then a rewrite", version)
			all[i].finish(t, r)
			after, err := daemon.Calls()
			must(t, err)
			sum := after.Minus(calls)
			r.Calls = &sum
			r.Fact("token calls for all three API servers since the command: %s", sum)
		})
	}
}

// rotation is what one cluster sees of it.
type rotation struct {
	*cluster
	from, to string
	traffic  *traffic
	switched chan switched
}

// switched says how long after the command an API server wrote under the new key_id.
type switched struct {
	after time.Duration
	err   error
}

func (x *rotation) awaitSwitch(start time.Time) switched {
	err := proc.Until(patience, "API server writes under the new key_id", func() error {
		// What kubelet and load balancers do all day; the API server asks Status at most every 20 s for it.
		if _, err := x.api.Readyz(); err != nil {
			return err
		}
		return x.writesUnder(x.to)
	})
	return switched{time.Since(start), err}
}

func (x *rotation) finish(t *testing.T, r *report.Result) {
	r.Fact("p11-kmsctl rotate with activation_delay 25 s: from %s to %s", x.from, x.to)
	s := <-x.switched
	must(t, s.err)
	r.Fact("first object under the new key_id %.0f s after the command", s.after.Seconds())
	if s.after > activation+poll {
		t.Errorf("the API server took %s", s.after)
	}
	time.Sleep(3 * time.Second)
	calls, err := x.traffic.stop()
	must(t, err)
	r.Fact("%d reads and writes during the rotation, none failed", calls)
	must(t, x.api.ReadSecrets(rotated))
	ids, err := x.keyIDs()
	must(t, err)
	r.Fact("before the rewrite: %v", ids)
	if ids[x.from] == 0 {
		t.Errorf("no object under the old key_id is left to be read: %v", ids)
	}
	must(t, x.rewrite(r))
	must(t, x.onlyUnder(x.to))
	r.Fact("after the rewrite no object is under the old key_id")
	must(t, x.api.ReadSecrets(rotated))
	r.Quote(x.api.Log(), `successfully rotated DEK`, 1)
}

// writesUnder writes one object and looks in etcd under which key_id it is.
func (c *cluster) writesUnder(keyID string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.api.UpdateSecret(ctx, 0, fmt.Sprint(time.Now().UnixNano())); err != nil {
		return err
	}
	values, err := c.etcd.Values(secretsKey + "default/secret-0000")
	if err != nil {
		return err
	}
	for _, value := range values {
		id, err := c.daemon.Inspect(value)
		if err != nil {
			return err
		}
		if id != keyID {
			return fmt.Errorf("written under %s", id)
		}
	}
	return nil
}

// rewrite uses a StorageVersionMigration where the version has it by default, else read and replace, which scenario 4
// tries on the newest version too.
func (c *cluster) rewrite(r *report.Result) error {
	if r.Version != newest {
		r.Fact("rewritten by read and replace")
		return c.api.RewriteSecrets(rotated)
	}
	migrator, err := c.api.StartMigrator()
	if err != nil {
		return err
	}
	r.Fact("rewritten by a StorageVersionMigration")
	return errors.Join(c.api.MigrateSecrets("secrets"), migrator.Stop())
}
