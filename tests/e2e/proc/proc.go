// Package proc runs the servers of a test. They stay in the process group of the test, so that one signal to
// that group ends everything.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Command is a server to run.
type Command struct {
	Name string // of its log file
	Path string
	Args []string
	Env  []string // added to the environment of the test
	UID  uint32   // 0: the user of the test
	File *os.File // becomes descriptor 3
}

// Process is a running server and its log.
type Process struct {
	name    string
	logPath string
	command *exec.Cmd
	done    chan struct{}
	ended   error // to be read once done is closed
}

// Start runs a command; its output is added to DIR/NAME.log.
func Start(dir string, c Command) (*Process, error) {
	p := &Process{name: c.Name, logPath: filepath.Join(dir, c.Name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", c.Name, err)
	}
	defer log.Close()
	p.command = exec.Command(c.Path, c.Args...)
	p.command.Env = append(os.Environ(), c.Env...)
	p.command.Stdout, p.command.Stderr = log, log
	if c.UID != 0 {
		p.command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.UID, Gid: c.UID}}
	}
	if c.File != nil {
		p.command.ExtraFiles = []*os.File{c.File}
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go p.reap()
	return p, nil
}

func (p *Process) reap() {
	p.ended = p.command.Wait()
	close(p.done)
}

// PID of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Alive says an error with the end of the log when the process has ended.
func (p *Process) Alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%v):\n%s", p.name, p.ended, tail(p.Log(), 3000))
	default:
		return nil
	}
}

// Stop asks the process to end and waits; after two minutes it is killed, which is an error.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(2 * time.Minute):
		_ = p.command.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end on SIGTERM:\n%s", p.name, tail(p.Log(), 3000))
	}
}

// Signal sends a signal.
func (p *Process) Signal(signal syscall.Signal) error { return p.command.Process.Signal(signal) }

// Log is all that was written so far, also by earlier processes of this name.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func tail(text string, n int) string {
	return text[max(0, len(text)-n):]
}
