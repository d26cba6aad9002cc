package client

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protowire"
)

// rawCodec hands message bytes through as they are. It takes the place of the codec "proto", so that the
// content-type on the wire stays "application/grpc", as kube-apiserver's, and no generated code is needed.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(message any) ([]byte, error) {
	bytes, ok := message.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("no message of ours: %T", message)
	}
	return *bytes, nil
}

func (rawCodec) Unmarshal(data []byte, message any) error {
	bytes, ok := message.(*[]byte)
	if !ok {
		return fmt.Errorf("no message of ours: %T", message)
	}
	*bytes = append([]byte(nil), data...)
	return nil
}

func init() {
	encoding.RegisterCodec(rawCodec{})
}

// field is one length-delimited field of a protobuf message; the KMS messages have no other kind.
type field struct {
	number protowire.Number
	value  []byte
}

func text(number protowire.Number, value string) field {
	return field{number, []byte(value)}
}

// pack leaves empty fields out, as proto3 does.
func pack(fields ...field) []byte {
	message := []byte{}
	for _, f := range fields {
		if len(f.value) == 0 {
			continue
		}
		message = protowire.AppendTag(message, f.number, protowire.BytesType)
		message = protowire.AppendBytes(message, f.value)
	}
	return message
}

// unpack keeps the last value of each field and skips fields of other kinds.
func unpack(message []byte) (map[protowire.Number][]byte, error) {
	fields := map[protowire.Number][]byte{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, fmt.Errorf("tag: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return nil, fmt.Errorf("field %d: %w", number, protowire.ParseError(size))
			}
			fields[number], message = value, message[size:]
			continue
		}
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return nil, fmt.Errorf("field %d: %w", number, protowire.ParseError(size))
		}
		message = message[size:]
	}
	return fields, nil
}
