// Package client is a KMS client on grpc-go with the dial options of kube-apiserver. The modules beside it
// build it against one version of grpc-go each, because the versions differ in the :authority they send.
package client

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	grpcstatus "google.golang.org/grpc/status"
)

const usage = `usage: grpcgo-client --socket S [--authority raw|localhost] [--api v2|v1] [--timeout 3s] COMMAND
  status               Status (v1: Version)
  encrypt              Encrypt of 32 random bytes
  roundtrip            Encrypt and Decrypt [--count N | --during D]; every call is counted
  wait                 Status again and again until it is served [--within 2m]
Prints one JSON object; exit 0 good, 1 a call failed, 2 usage.`

type options struct {
	socket, authority, api, command string
	timeout, during, within         time.Duration
	count                           int
}

type failure struct {
	Code    int    `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

type report struct {
	GRPC      string   `json:"grpc"`
	Authority string   `json:"authority"`
	API       string   `json:"api"`
	Command   string   `json:"command"`
	OK        bool     `json:"ok"`
	Calls     int      `json:"calls"`
	Failed    int      `json:"failed"`
	Seconds   float64  `json:"seconds"`
	SlowestMS float64  `json:"slowest_ms"`
	Status    *status  `json:"status,omitempty"`
	Sealed    *sealed  `json:"sealed,omitempty"`
	Error     *failure `json:"error,omitempty"`
}

// Main runs the command line and returns the exit status.
func Main() int {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "grpcgo-client: %v\n%s\n", err, usage)
		return 2
	}
	r, err := run(o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "grpcgo-client: %v\n", err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintf(os.Stderr, "grpcgo-client: %v\n", err)
		return 1
	}
	if !r.OK {
		return 1
	}
	return 0
}

// parse takes options on both sides of the command.
func parse(arguments []string) (*options, error) {
	var o options
	flags := flag.NewFlagSet("grpcgo-client", flag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&o.socket, "socket", "", "path, or @name of an abstract socket")
	flags.StringVar(&o.authority, "authority", "raw", "raw: what this grpc-go makes of the path; localhost")
	flags.StringVar(&o.api, "api", "v2", "v2 or v1")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Second, "of one call")
	flags.IntVar(&o.count, "count", 1, "round trips")
	flags.DurationVar(&o.during, "during", 0, "round trips for so long, instead of a count")
	flags.DurationVar(&o.within, "within", 2*time.Minute, "how long to wait")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() == 0 {
		return nil, errors.New("no command")
	}
	o.command = flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return nil, err
	}
	return &o, o.check(flags.NArg())
}

func (o *options) check(left int) error {
	switch {
	case o.socket == "":
		return errors.New("no --socket")
	case o.authority != "raw" && o.authority != "localhost":
		return fmt.Errorf("--authority %s", o.authority)
	case o.api != "v1" && o.api != "v2":
		return fmt.Errorf("--api %s", o.api)
	case left != 0:
		return errors.New("more than one command")
	}
	return nil
}

func run(o *options) (*report, error) {
	connection, err := dial(o.socket, o.authority, o.timeout)
	if err != nil {
		return nil, err
	}
	defer connection.connection.Close()
	var k api = v2{connection}
	if o.api == "v1" {
		k = v1{connection}
	}
	r := &report{GRPC: grpc.Version, Authority: o.authority, API: o.api, Command: o.command}
	start := time.Now()
	switch o.command {
	case "status":
		r.once(func() (err error) { r.Status, err = k.status(); return })
	case "encrypt":
		r.once(func() (err error) { r.Sealed, err = encryptRandom(k); return })
	case "roundtrip":
		r.repeat(o, start, k)
	case "wait":
		r.wait(o, start, k)
	default:
		return nil, fmt.Errorf("no command %q", o.command)
	}
	r.OK = r.Calls > 0 && r.Error == nil
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// once makes one call and keeps the first error and the longest time.
func (r *report) once(call func() error) {
	start := time.Now()
	err := call()
	r.Calls++
	r.SlowestMS = max(r.SlowestMS, float64(time.Since(start).Microseconds())/1000)
	if err == nil {
		return
	}
	r.Failed++
	if r.Error == nil {
		s := grpcstatus.Convert(err)
		r.Error = &failure{int(s.Code()), s.Code().String(), s.Message()}
	}
}

func (r *report) repeat(o *options, start time.Time, k api) {
	for more := true; more; {
		r.once(func() (err error) { r.Sealed, err = roundTrip(k); return })
		more = r.Calls < o.count
		if o.during > 0 {
			more = time.Since(start) < o.during
		}
	}
}

// wait lets grpc-go's own back-off decide when to dial again.
func (r *report) wait(o *options, start time.Time, k api) {
	for time.Since(start) < o.within {
		r.Error = nil
		r.once(func() (err error) { r.Status, err = k.status(); return })
		if r.Error == nil {
			return
		}
	}
}
