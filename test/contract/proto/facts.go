package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"sort"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// reader turns a descriptor into facts: a place such as "message Volume, field volume_id, number", and its value.
// It walks every populated field of the descriptor, known and unknown, so that nothing has to be listed here.
type reader struct {
	facts  map[string]string
	counts map[string]int
}

// Parts that come in lists, by the field of the descriptor that holds them.
var parts = map[protoreflect.Name]string{
	"dependency":     "import",
	"message_type":   "message",
	"nested_type":    "message",
	"enum_type":      "enum",
	"value":          "value",
	"field":          "field",
	"oneof_decl":     "oneof",
	"extension":      "extension",
	"service":        "service",
	"method":         "method",
	"reserved_range": "reserved range",
	"reserved_name":  "reserved name",
}

// Where a file lies and how it is laid out is not part of the interface.
var ignored = []protoreflect.FullName{
	"google.protobuf.FileDescriptorProto.name",
	"google.protobuf.FileDescriptorProto.source_code_info",
}

// factsOf reads a serialised descriptor with the extensions that the file itself defines, so that
// custom options have the names and types this very file gives them.
func factsOf(file protoreflect.FileDescriptor, serialised []byte) (*reader, error) {
	own := &protoregistry.Files{}
	if err := own.RegisterFile(file); err != nil {
		return nil, err
	}
	descriptor := &descriptorpb.FileDescriptorProto{}
	options := proto.UnmarshalOptions{Resolver: dynamicpb.NewTypes(own)}
	if err := options.Unmarshal(serialised, descriptor); err != nil {
		return nil, err
	}
	r := &reader{facts: map[string]string{}, counts: map[string]int{}}
	r.message("", descriptor.ProtoReflect())
	return r, nil
}

func (r *reader) message(place string, m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !slices.Contains(ignored, field.FullName()) {
			r.field(place, m, field, value)
		}
		return true
	})
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		r.fact(join(place, "unknown"), hex.EncodeToString(unknown))
	}
}

func (r *reader) field(place string, m protoreflect.Message, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch {
	case field.IsList():
		r.list(place, field, value.List())
	case field.Message() != nil:
		r.message(join(place, string(field.Name())), value.Message())
	case field.FullName() == "google.protobuf.FieldDescriptorProto.oneof_index":
		// Its number depends on the order in the file; the name is what counts, and is added by oneofs.
	case field.IsExtension():
		r.counts["option"]++
		r.fact(join(place, fmt.Sprintf("(%s)", field.FullName())), text(field, value))
	default:
		r.fact(join(place, string(field.Name())), text(field, value))
	}
	if field.FullName() == "google.protobuf.DescriptorProto.field" {
		r.oneofs(place, m)
	}
}

func (r *reader) list(place string, field protoreflect.FieldDescriptor, list protoreflect.List) {
	part, known := parts[field.Name()]
	if !known {
		part = string(field.Name())
	}
	for i := range list.Len() {
		r.counts[part]++
		if field.Message() == nil {
			r.fact(join(place, part+" "+text(field, list.Get(i))), "present")
			continue
		}
		item := list.Get(i).Message()
		r.message(join(place, part+" "+name(item, i)), item)
	}
}

func (r *reader) oneofs(place string, m protoreflect.Message) {
	message, ok := m.Interface().(*descriptorpb.DescriptorProto)
	if !ok {
		return
	}
	for _, field := range message.GetField() {
		if field.OneofIndex != nil {
			oneof := message.GetOneofDecl()[field.GetOneofIndex()].GetName()
			r.fact(join(join(place, "field "+field.GetName()), "oneof"), oneof)
		}
	}
}

func (r *reader) fact(place, value string) {
	if _, taken := r.facts[place]; taken {
		panic("two facts at one place: " + place)
	}
	r.facts[place] = value
}

// name finds an item again in the other file, whatever its position: by name, or by range.
func name(item protoreflect.Message, position int) string {
	fields := item.Descriptor().Fields()
	if field := fields.ByName("name"); field != nil && item.Has(field) {
		return item.Get(field).String()
	}
	start, end := fields.ByName("start"), fields.ByName("end")
	if start != nil && end != nil {
		return fmt.Sprintf("%v-%v", item.Get(start), item.Get(end))
	}
	return fmt.Sprint(position)
}

func text(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	if field.Kind() != protoreflect.EnumKind {
		return value.String()
	}
	if known := field.Enum().Values().ByNumber(value.Enum()); known != nil {
		return string(known.Name())
	}
	return fmt.Sprint(value.Enum())
}

func join(place, part string) string {
	if place == "" {
		return part
	}
	return place + ", " + part
}

func differences(want, have map[string]string) []Difference {
	found := []Difference{}
	for place := range want {
		if other, ok := have[place]; !ok || other != want[place] {
			found = append(found, Difference{place, at(want, place), at(have, place)})
		}
	}
	for place := range have {
		if _, ok := want[place]; !ok {
			found = append(found, Difference{place, nil, at(have, place)})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].At < found[j].At })
	return found
}

func at(facts map[string]string, place string) *string {
	if value, ok := facts[place]; ok {
		return &value
	}
	return nil
}
