package vindex

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options are what a vindex needs from outside while it is made.
type Options struct {
	// ReadFile returns the content of a file that a parameter names (json_path, region_map). Without it such vindexes are an error.
	ReadFile func(path string) ([]byte, error)
}

func (o Options) read(param, path string) ([]byte, error) {
	if o.ReadFile == nil {
		return nil, fmt.Errorf("parameter %s names the file %s, but files can't be read here", param, path)
	}
	data, err := o.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: reading %s: %w", param, path, err)
	}
	return data, nil
}

// ErrUnknownType says that there is no vindex of that type.
var ErrUnknownType = errors.New("unknown vindex type")

// params are a vindex's parameters as the vschema gives them.
type params map[string]string

func (p params) names() []string { return slices.Sorted(maps.Keys(p)) }

// definition is what the package knows of a type.
type definition struct {
	cost   int
	params []string // known ones; nil with anyParams
	build  func(b base, p params, o Options) (Vindex, error)
	// anyParams leaves the check of the names to build.
	anyParams bool
}

const (
	costFree         = 0
	costHash         = 1
	costUniqueLookup = 10
	costLookup       = 20
	costNull         = 100 // sends everything to one shard: any other vindex is better
)

// definitionOf returns the definition of a type.
func definitionOf(typ string) (definition, bool) {
	plain := func(cost int, v func(b base) Vindex) (definition, bool) {
		return definition{cost: cost, build: func(b base, _ params, _ Options) (Vindex, error) { return v(b), nil }}, true
	}
	switch typ {
	case "hash":
		return definition{cost: costHash, build: func(b base, _ params, _ Options) (Vindex, error) {
			d, err := newDES64()
			return &hash{base: b, des: d}, err
		}}, true
	case "numeric":
		return plain(costFree, func(b base) Vindex { return &numeric{b} })
	case "reverse_bits":
		return plain(costHash, func(b base) Vindex { return &reverseBits{b} })
	case "xxhash":
		return plain(costHash, func(b base) Vindex { return &xxHash{b} })
	case "binary":
		return plain(costFree, func(b base) Vindex { return &plainBytes{b} })
	case "binary_md5":
		return plain(costHash, func(b base) Vindex { return &binaryMD5{b} })
	case "unicode_loose_md5":
		return plain(costHash, func(b base) Vindex { return &loose{base: b, folder: newFolder(), add: appendMD5} })
	case "unicode_loose_xxhash":
		return plain(costHash, func(b base) Vindex { return &loose{base: b, folder: newFolder(), add: appendXX} })
	case "null":
		return plain(costNull, func(b base) Vindex { return &null{b} })
	case "numeric_static_map":
		return definition{cost: costHash, params: []string{"json", "json_path", "fallback_type"}, build: newStaticMap}, true
	case "region_json":
		return definition{cost: costHash, params: []string{"region_bytes", "region_map"}, build: newRegionJSON}, true
	case "region_experimental":
		return definition{cost: costHash, params: []string{"region_bytes"}, build: func(b base, p params, _ Options) (Vindex, error) {
			return newRegion(b, p)
		}}, true
	case "cfc":
		return definition{cost: costHash, params: []string{"hash", "offsets"}, build: func(b base, p params, _ Options) (Vindex, error) {
			return newCFC(b, p)
		}}, true
	case "multicol":
		return definition{anyParams: true, build: newMultiCol}, true
	}
	return lookupDefinition(typ)
}

func lookupDefinition(typ string) (definition, bool) {
	kinds := map[string]lookupKind{
		"lookup":                             {},
		"lookup_unique":                      {unique: true},
		"lookup_hash":                        {numbers: true},
		"lookup_hash_unique":                 {unique: true, numbers: true},
		"lookup_unicodeloosemd5_hash":        {numbers: true, folded: true},
		"lookup_unicodeloosemd5_hash_unique": {unique: true, numbers: true, folded: true},
		"consistent_lookup":                  {consistent: true},
		"consistent_lookup_unique":           {unique: true, consistent: true},
	}
	kind, ok := kinds[typ]
	if !ok {
		return definition{}, false
	}
	def := definition{
		cost:   costLookup,
		params: []string{"table", "from", "to", "ignore_nulls", "batch_lookup", "read_lock", "write_only"},
		build:  func(b base, p params, _ Options) (Vindex, error) { return newLookup(b, p, kind) },
	}
	if kind.unique {
		def.cost = costUniqueLookup
	}
	if !kind.consistent {
		def.params = append(def.params, "autocommit", "multi_shard_autocommit", "no_verify")
	}
	return def, true
}

// Types returns the names of all vindex types, sorted.
func Types() []string {
	return []string{
		"binary", "binary_md5", "cfc", "consistent_lookup", "consistent_lookup_unique", "hash", "lookup", "lookup_hash", "lookup_hash_unique",
		"lookup_unicodeloosemd5_hash", "lookup_unicodeloosemd5_hash_unique", "lookup_unique", "multicol", "null", "numeric",
		"numeric_static_map", "region_experimental", "region_json", "reverse_bits", "unicode_loose_md5", "unicode_loose_xxhash", "xxhash",
	}
}

// New makes a vindex of the type. It returns ErrUnknownType (wrapped), or an error that names the parameter that is wrong or unknown.
func New(typ, name string, ps map[string]string, opts Options) (Vindex, error) {
	def, ok := definitionOf(typ)
	if !ok {
		return nil, fmt.Errorf("vindex %s: type %q: %w; the types are %s", name, typ, ErrUnknownType, strings.Join(Types(), ", "))
	}
	p := params(ps)
	if !def.anyParams {
		for _, k := range p.names() {
			if !slices.Contains(def.params, k) {
				return nil, fmt.Errorf("vindex %s: type %s has no parameter %s; %s", name, typ, k, knownParams(def.params))
			}
		}
	}
	v, err := def.build(base{name: name, typ: typ, cost: def.cost}, p, opts)
	if err != nil {
		return nil, fmt.Errorf("vindex %s: type %s: %w", name, typ, err)
	}
	return v, nil
}

func knownParams(names []string) string {
	if len(names) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
}
