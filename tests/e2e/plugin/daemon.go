package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"p11-kms/tests/e2e/proc"
)

// Settings are what scenarios change in the configuration.
type Settings struct {
	ActivationDelay string
	Health          string // a YAML mapping
	AllowedUIDs     string // a YAML list
	Mode            string // of the socket
}

// Daemon is one p11-kmsd with its configuration, state and socket.
type Daemon struct {
	Name     string
	Socket   string
	Token    *Token
	bin, dir string
	process  *proc.Process
}

// NewDaemon writes the configuration of a daemon on a token; bin is the folder of the programs.
func NewDaemon(bin, dir, name string, token *Token, settings Settings) (*Daemon, error) {
	d := &Daemon{Name: name, Token: token, bin: bin, dir: dir}
	d.Socket = filepath.Join(d.path("run"), "kms.sock")
	if err := os.MkdirAll(d.path("run"), 0o755); err != nil {
		return nil, fmt.Errorf("socket folder: %w", err)
	}
	if err := os.MkdirAll(d.path("state"), 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return d, d.Configure(settings)
}

func (d *Daemon) path(what string) string { return filepath.Join(d.dir, d.Name+"."+what) }

const configuration = `version: 1
ring: e2e
activation_delay: %s
listen:
  socket: %s
  mode: "%s"
  allowed_uids: %s
tokens:
  - name: main
    module: %s
    token: "%s"
    pin_file: %s
    env: {%s}
health: %s
state_dir: %s
`

// Configure writes the configuration twice: with the spy for the daemon, without it for p11-kmsctl, whose own
// calls are not counted.
func (d *Daemon) Configure(s Settings) error {
	fill := func(value, preset string) string {
		if value == "" {
			return preset
		}
		return value
	}
	conf := "SOFTHSM2_CONF: " + filepath.Join(d.Token.dir, "softhsm2.conf")
	spy := fmt.Sprintf("%s, PKCS11SPY: %s, PKCS11SPY_OUTPUT: %s", conf, d.Token.module, d.path("spy"))
	write := func(path, module, env string) error {
		text := fmt.Sprintf(configuration, fill(s.ActivationDelay, "25s"), d.Socket, fill(s.Mode, "0600"),
			fill(s.AllowedUIDs, fmt.Sprintf("[%d]", os.Getuid())), module, d.Token.uri, d.Token.pinFile, env,
			fill(s.Health, "{on_token_loss: coast, coast: 60m, soft_max: 24h}"), d.path("state"))
		return os.WriteFile(path, []byte(text), 0o600)
	}
	module, err := spyModule()
	return errors.Join(err, write(d.path("yaml"), module, spy), write(d.path("ctl.yaml"), d.Token.module, conf))
}

// Reload has the running daemon read its configuration again.
func (d *Daemon) Reload() error { return d.process.Signal(syscall.SIGHUP) }

// ctl runs p11-kmsctl and reads its JSON; input may be nil.
func (d *Daemon) ctl(input []byte, answer any, arguments ...string) error {
	arguments = append(arguments, "--output", "json", "--config", d.path("ctl.yaml"))
	command := exec.Command(filepath.Join(d.bin, "p11-kmsctl"), arguments...)
	command.Stdin = strings.NewReader(string(input))
	var problem strings.Builder
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("p11-kmsctl %s: %w: %s%s", arguments[0], err, out, problem.String())
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("p11-kmsctl %s: %w: %s", arguments[0], err, out)
	}
	return nil
}

// Init makes the first KEK, or joins the ring of another daemon on the token.
func (d *Daemon) Init(join bool) error {
	if join {
		return d.ctl(nil, nil, "init", "--join")
	}
	return d.ctl(nil, nil, "init")
}

// Launch runs the daemon without waiting for it.
func (d *Daemon) Launch() error {
	var err error
	d.process, err = proc.Start(d.dir, proc.Command{
		Name: d.Name, Path: filepath.Join(d.bin, "p11-kmsd"), Args: []string{"--config", d.path("yaml")},
	})
	return err
}

// LaunchOn hands a listening socket over, as systemd does for a socket unit.
func (d *Daemon) LaunchOn(listener *net.UnixListener) error {
	file, err := listener.File()
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	defer file.Close()
	// LISTEN_PID must name the daemon itself, so a shell sets it before it becomes the daemon.
	d.process, err = proc.Start(d.dir, proc.Command{
		Name: d.Name, Path: "/bin/sh", File: file,
		Args: []string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --config "$1"`,
			filepath.Join(d.bin, "p11-kmsd"), d.path("yaml")},
	})
	return err
}

// Start runs the daemon and waits until its Status says ok.
func (d *Daemon) Start() error {
	if err := d.Launch(); err != nil {
		return err
	}
	return d.WaitState("OK", 2*time.Minute)
}

// Stop drains and ends it.
func (d *Daemon) Stop() error {
	if d.process == nil {
		return nil
	}
	return d.process.Stop()
}

// Status is what p11-kmsctl status says.
type Status struct {
	Healthz string `json:"healthz"`
	KeyID   string `json:"key_id"`
	State   string `json:"state"`
	Mend    string `json:"mend"`
	Error   string `json:"error"`
}

// Status asks the daemon over its socket; exit codes that say "not ok" are no error here.
func (d *Daemon) Status() (*Status, error) {
	var s Status
	command := exec.Command(filepath.Join(d.bin, "p11-kmsctl"), "status", "--output", "json",
		"--config", d.path("ctl.yaml"))
	out, err := command.Output()
	if json.Unmarshal(out, &s) != nil {
		return nil, fmt.Errorf("p11-kmsctl status: %w: %s", err, out)
	}
	return &s, nil
}

// WaitState waits until the daemon is in a state of docs/operate.md.
func (d *Daemon) WaitState(state string, limit time.Duration) error {
	return proc.Until(limit, d.Name+" in state "+state, func() error {
		if err := d.process.Alive(); err != nil {
			return err
		}
		s, err := d.Status()
		if err != nil {
			return err
		}
		if s.State != state {
			return fmt.Errorf("state %s, healthz %q, mend %q", s.State, s.Healthz, s.Mend)
		}
		return nil
	})
}

// Rotate makes a new KEK and returns its key_id.
func (d *Daemon) Rotate() (string, error) {
	var answer struct {
		KeyID string `json:"key_id"`
	}
	err := d.ctl(nil, &answer, "rotate")
	return answer.KeyID, err
}

// Inspect says under which key_id a raw etcd value is sealed.
func (d *Daemon) Inspect(value []byte) (string, error) {
	var answer struct {
		KeyID string `json:"key_id"`
	}
	err := d.ctl(value, &answer, "inspect", "--raw")
	return answer.KeyID, err
}

// Calls counts the token calls of the daemon since it was made.
func (d *Daemon) Calls() (Calls, error) {
	var sum Calls
	for _, record := range []string{"spy", "spy.before", "spy.after"} {
		calls, err := countCalls(d.path(record))
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(calls)
	}
	return sum, nil
}

// tokenPID is the process that holds the module; 0 while there is none.
func (d *Daemon) tokenPID() int {
	pid := d.process.PID()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(children)) {
		words, _ := os.ReadFile("/proc/" + child + "/cmdline")
		if program, _, _ := strings.Cut(string(words), "\x00"); filepath.Base(program) == "p11-kms-token" {
			found, _ := strconv.Atoi(child)
			return found
		}
	}
	return 0
}

// KillToken ends the token process as a crash of the vendor's module would, and waits until the next one has logged
// in: SoftHSM writes its files at a login, and to be killed in the middle of that would ruin the token.
func (d *Daemon) KillToken() error {
	pid, before := d.tokenPID(), d.logins()
	if pid == 0 {
		return errors.New("no token process")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the token process: %w", err)
	}
	return proc.Until(2*time.Minute, "login of the next token process", func() error {
		if after := d.logins(); after <= before {
			return fmt.Errorf("%d logins", after)
		}
		return nil
	})
}

func (d *Daemon) logins() int { return strings.Count(d.process.Log(), " event=token-login ") }

// HangToken makes the module hang until the returned function is called: the running token process is stopped,
// and the next ones block while the module is loaded, because the record of calls is then a pipe that nobody
// reads. Stopping those as well could end them while SoftHSM writes its files at the login.
func (d *Daemon) HangToken() (resume func() error, err error) {
	record := d.path("spy")
	pid := d.tokenPID()
	if pid == 0 {
		return nil, errors.New("no token process")
	}
	err = errors.Join(os.Rename(record, d.path("spy.before")), syscall.Mkfifo(record, 0o600),
		syscall.Kill(pid, syscall.SIGSTOP))
	return func() error { return drain(record, d.path("spy.after")) }, err
}

// drain reads a pipe into a file from now on.
func drain(pipe, to string) error {
	// Opened for both, so that it never ends.
	from, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	file, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	go func() { _, _ = io.Copy(file, from) }()
	return nil
}
