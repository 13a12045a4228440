"""Translate the library's errors and notes that visitors may see into Chinese.

The keys are the English sentences as they are written in the library, with {} for the parts that are filled in; in
the Chinese {0}, {1}, … stand for these parts.  A sentence that is not listed here is shown in English.
"""

from __future__ import annotations

import re
from functools import cache

from inpaint import InpaintError

from .options import OPTIONS

# words that are filled into sentences
PARTS = {
    "true or false": " true 或 false",
    "a whole number": "整数",
    "a finite number": "有限的数",
    "text": "文字",
    "a whole number, or auto": "整数，或 auto",
    "a finite number, or auto": "有限的数，或 auto",
    "text, or auto": "文字，或 auto",
    "The picture": "图片",
    "The mask": "蒙版",
    "Branched from": "分支自",
    "Stopped at": "停在",
}

OF_OPTIONS = ("{} cannot be {}.", "{} is {}.")

CHINESE: dict[str, str] = {
    # options and requests
    "{} cannot be {}.": "{0}不能是 {1}。",
    "{} is {}.": "{0}为 {1}。",
    "It takes {}{}.": "应为{0}{1}。",
    "Choose one of: {}.": "可选：{0}。",
    "Choose a value from {} to {}, or auto.": "请选择 {0} 到 {1} 之间的值，或 auto。",
    "Choose a value from {} to {}.": "请选择 {0} 到 {1} 之间的值。",
    "Choose a value from {} to {}{}.": "请选择 {0} 到 {1} 之间的值{2}。",
    "{} is {} characters long.": "{0}有 {1} 个字符。",
    "Use at most {}.": "最多 {0}。",
    "The seed cannot be {}.": "种子不能是 {0}。",
    "Type a whole number, or leave it empty.": "请输入整数，或留空。",
    "The seed {} is taken modulo 2³²: {}.": "种子 {0} 按 2³² 取模为 {1}。",
    "There is a mask but no picture.": "有蒙版但没有图片。",
    "Open the picture it belongs to.": "请打开它所属的图片。",
    "The article's program has no fast steps.": "原文程序没有快速步骤。",
    "Choose exact, or not article.": "请选“精确”，或不要“完全按原文”。",
    # masks
    "Nothing is painted.": "还没有涂抹任何地方。",
    "Paint over what should change.": "请涂抹要改变的部分。",
    "It is not clear which thing is meant.": "不清楚指的是哪个物体。",
    "Give either a line or a loop.": "请给出一条线或一个圈。",
    "There is hardly anything inside this loop.": "圈内几乎没有内容。",
    "Draw a larger one.": "请画大一些。",
    "These are no points of the picture.": "这些不是图片中的点。",
    "Give each as [x, y] in its pixels.": "请以像素给出每个点 [x, y]。",
    "The mask cannot grow by that.": "蒙版不能扩大这么多。",
    "Choose -{} to {} pixels.": "请选择 -{0} 到 {1} 像素。",
    "Nothing stands out there.": "那里没有明显的物体。",
    "Draw a line over the thing, or circle it.": "请在物体上画一条线，或圈住它。",
    "The mask did not arrive completely.": "蒙版没有完整送达。",
    "Press Repaint again.": "请再按一次“重绘”。",
    "The mask was {} × {} pixels; it is resized to the picture's size.": (
        "蒙版为 {0} × {1} 像素，已调整为图片大小。"
    ),
    "The mask has another shape than the picture: check its position.": "蒙版与图片形状不同：请检查它的位置。",
    "The mask lay on its side: it is turned by 90° to fit the picture.": "蒙版是横放的，已旋转 90° 以吻合图片。",
    "The picture has no transparency.": "图片没有透明区域。",
    "Paint a mask or open one.": "请涂抹蒙版或打开一个。",
    "Nearly everything is painted: little of the picture is left to work from.": "几乎全部涂满：可供参考的画面很少。",
    "Only thin strokes are painted, at most {} pixels wide.": "只有细线，最宽 {0} 像素。",
    "The mask is faint, at most {} of 255: hardly anything changes.  Paint in white.": (
        "蒙版很淡，最高 {0}（满值 255）：几乎不会改变。请用白色涂抹。"
    ),
    "The mask has {} colours: all but its background are repainted.": "蒙版有 {0} 种颜色：除背景外都会重绘。",
    "The transparent parts of the mask are repainted, as in a photo with a part erased.": (
        "蒙版中透明的部分会重绘，如同擦去一部分的照片。"
    ),
    "The mask looks like a photo: its bright parts are repainted.": "蒙版像一张照片：亮处会重绘。",
    "The mask's values are 0 and 1: 1 is taken as white.": "蒙版的值为 0 和 1：1 视为白色。",
    "The mask numbers its objects, up to {}: all of them are repainted.": (
        "蒙版为物体编号，最大为 {0}：全部物体都会重绘。"
    ),
    "The mask has black strokes on a transparent ground: they are repainted.": (
        "蒙版是透明底上的黑色笔画：笔画会重绘。"
    ),
    "The mask contains NaN or infinity.": "蒙版含有非数值。",
    "Give finite numbers.": "请使用有限的数值。",
    # expanding
    "The picture would have {} × {} pixels.": "图片将有 {0} × {1} 像素。",
    "Extend it by less.": "请少扩展一些。",
    "The picture already has that shape.": "图片已是这个比例。",
    "Extend a side by some pixels.": "请指定某一边扩展的像素。",
    "A side cannot grow by {} pixels.": "一边不能扩展 {0} 像素。",
    "Give left,top,right,bottom in pixels, or an aspect ratio like 16:9.": (
        "请按“左,上,右,下”填写像素，或填写 16:9 这样的比例。"
    ),
    # files
    "The file did not arrive.": "文件没有送达。",
    "Choose it again.": "请重新选择。",
    "Use a PNG, JPEG, WebP, HEIC, AVIF, TIFF, GIF or BMP file.": (
        "请使用 PNG、JPEG、WebP、HEIC、AVIF、TIFF、GIF 或 BMP 文件。"
    ),
    "{} is empty.": "{0}是空文件。",
    "{} is not a picture that can be read here.": "{0}不是这里能读取的图片。",
    "{} is damaged or cut off.": "{0}已损坏或不完整。",
    "{} is damaged: its tiles are larger than the picture.": "{0}已损坏：其中的分块比图片还大。",
    "This is a HEIC picture.": "这是 HEIC 图片。",
    "Install pillow-heif to open it.": "请安装 pillow-heif 后再打开。",
    "{} The default is used.": "{0}已改用默认值。",
    "There is no mask for it. Name one {}.png or {}_mask.png.": (
        "没有对应的蒙版。请将蒙版命名为 {0}.png 或 {1}_mask.png。"
    ),
    "{} differ only in case. Name its mask {}_mask.png exactly.": (
        "{0} 只有大小写不同。请将蒙版准确命名为 {1}_mask.png。"
    ),
    "{} is broken.": "{0}已损坏。",
    "{} is too large: {}.": "{0}过大：{1}。",
    "{} has no pixels.": "{0}没有像素。",
    "The picture has no pixels.": "图片没有像素。",
    "Use at most {} million pixels.": "最多 {0} 百万像素。",
    "This picture has {} megapixels; here the limit is {}.": "图片为 {0} 百万像素，上限为 {1}。",
    "Make it smaller.": "请缩小图片。",
    "Choose another one.": "请选择另一张。",
    "Choose another file.": "请选择另一个文件。",
    "Choose a picture file.": "请选择图片文件。",
    "There is no such example.": "没有这个示例。",
    "Choose one of those shown.": "请选择所列的示例。",
    "Several frames or pages: only the first is used.": "有多帧或多页：只使用第一帧。",
    "Its colour profile is not for RGB, so it was left out.": "颜色配置文件不适用于 RGB，已略去。",
    "CMYK: converted to RGB by {}.": "CMYK 已按{0}转换为 RGB。",
    "LAB: converted to RGB.": "LAB 已转换为 RGB。",
    "Floating point: scaled to 8 bits.": "浮点数据已缩放为 8 位。",
    "{} bits a channel: scaled to 8 by that range.": "每通道 {0} 位，已按该范围缩放为 8 位。",
    "Its values run from {} to {}: shown by that range, with 8 bits.": "数值从 {0} 到 {1}，按该范围以 8 位显示。",
    "This file holds the settings, but not the photo and the mask they were used with: paint or open a mask.": (
        "此文件含有设置，但没有当时的照片和蒙版：请涂抹或打开蒙版。"
    ),
    "This picture holds no settings.": "此图片不含设置。",
    "This picture's text holds no settings.": "此图片的文字中没有设置。",
    "Set them by hand.": "请手动设置。",
    "The setting {} is unknown.": "这里不认识设置 {0}。",
    "Open one as it was saved by this program or another Stable Diffusion tool.": (
        "请打开由本程序或其他 Stable Diffusion 工具保存的原文件。"
    ),
    "This picture's settings are damaged: {}.": "此图片的设置已损坏：{0}。",
    "Open the file as it was saved, or the original photo.": "请打开保存时的文件，或原照片。",
    "The picture was changed after it was saved, so it repeats only roughly.": "图片保存后被改动过，只能大致重现。",
    "The photo and the mask this was made from are gone: the file was saved again by another program. "
    "Its settings are here; paint or open a mask.": (
        "制作时的照片和蒙版已不在：文件被其他程序重新保存过。设置仍在；请涂抹或打开蒙版。"
    ),
    "This picture's settings were written by a newer version of this program.": (
        "此图片的设置由更新版本的程序写入。"
    ),
    "Update the program to repeat it.": "请更新程序后再重现。",
    "{} cannot be written: {}.": "无法写入 {0}：{1}。",
    "Free some space or choose another place.": "请清出空间，或选择其他位置。",
    "{} files hold at most {} pixels a side.": "{0} 文件每边最多 {1} 像素。",
    # the run
    "Without a prompt this model fills a hole with copies of its surroundings; choose the fill “noise” to let it "
    "paint.": "没有提示词时，此模型复制周围内容来补全；想让模型作画，请把初始填充设为“noise”。",
    "The article's program cannot run this kind of model.": "原文程序不支持此类模型。",
    "Leave the option article off.": "请关闭 article 选项。",
    "This model cannot use the sampler {}; {} is used instead.": "此模型不能用采样器 {0}，已改用 {1}。",
    "The model painted at {} % of this size, so it is softer than the photo around it.": (
        "模型以此尺寸的 {0}% 绘制，因此比周围的照片柔和。"
    ),
    "Without guidance (1) the negative prompt has no effect.": "没有引导（1）时，反向提示词不起作用。",
    "At strength {} only {} of {} steps run; ask for exact steps to run all.": (
        "强度 {0} 时只运行 {2} 步中的 {1} 步；勾选“严格步数”可全部运行。"
    ),
    "Strength {} has fewer than {} noise levels: some above it are used too.": (
        "强度 {0} 对应的噪声级少于 {1} 个：也会用到更高的一些。"
    ),
    "By its name {} is made for few steps: the preset {} takes {}; choose the preset none to set them yourself.": (
        "由名称看，{0} 只需少数步骤：预设 {1} 用 {2} 步；想自行设置请选预设 none。"
    ),
    "This walk has a spacing of its own: the one asked for is ignored.": "此采样有自己的步间隔，所选间隔已略去。",
    "The sampler {} has no eta: it is ignored.": "采样器 {0} 不用 eta，已略去。",
    "The article's program uses {}, not {}.": "原文程序使用 {0}，而不是 {1}。",
    "The article's program runs 4-channel UNets only.": "原文程序只运行四通道 UNet。",
    "Use method base.": "请选择“基础模型”。",
    "The article's program can continue a step only with the step's own seed, steps and strength.": (
        "按原文方式只能以相同的种子、步数和强度从某步继续。"
    ),
    "Keep them, or start a new run.": "请保持不变，或重新开始。",
    "This step was made with another setting of the option “article”.": "此步与当前的“完全按原文”设置不同。",
    "Set it as it was for that step.": "请按当时的设置继续。",
    "This step belongs to another close-up.": "此步属于另一处特写。",
    "Branch with the same mask and size.": "请用相同的蒙版和尺寸分支。",
    "A run over several islands has no single step to branch from.": "分多个孤岛的运行没有单一的步骤可供分支。",
    "Paint one place, or switch islands off.": "请只涂一处，或关闭“逐个孤岛”。",
    "{} step {} of seed {}.": "{0}种子 {2} 的第 {1} 步。",
    "The UNet produced invalid numbers, even in float32.": "UNet 没有给出有效数值，float32 也不行。",
    "Try another seed, prompt or model.": "请换一个种子、提示词或模型。",
    "The UNet produced invalid numbers in {} and runs in {} from here on.": (
        "UNet 在 {0} 下没有给出有效数值，此后改用 {1}。"
    ),
    "This model knows {} noise levels.": "此模型有 {0} 个噪声级。",
    "Choose fewer than {} steps.": "步数请少于 {0}。",
    "The article's spacing leaves the schedule at {} steps.": "按原文间距，{0} 步会超出噪声表。",
    "Choose a number that divides 1000, such as 20, 25 or 50.": "请选择能整除 1000 的步数，如 20、25 或 50。",
    # memory
    "This picture needs more memory than this machine has.": "内存不足以处理此图片。",
    "Try a smaller working size, fewer variations or a smaller model.": (
        "请减小工作尺寸、变体数量，或换小一些的模型。"
    ),
    "Memory ran out: caches were freed, and the work was repeated.": "内存不足：已释放缓存并重做。",
    "Memory ran out: variations are made {} at a time.": "内存不足：变体每次生成 {0} 个。",
    "Memory ran out: the VAE works in tiles for this picture.": "内存不足：此图片由 VAE 分块处理。",
    "Memory ran out: attention is computed in slices, slower.": "内存不足：注意力分片计算，较慢。",
    "Memory ran out: networks take turns on the device.": "内存不足：各网络轮流使用设备。",
    "Memory ran out: layers take turns on the device, slowly.": "内存不足：各层轮流使用设备，较慢。",
    "Memory ran out: torch runs the UNet, without OpenVINO's copy of its weights.": (
        "内存不足：改由 torch 运行 UNet，不再使用 OpenVINO 的权重副本。"
    ),
    # models
    "There is no model {} here.": "这里没有模型 {0}。",
    "Name one of {}, a folder, a .safetensors file or a Hub id.": (
        "可用：{0}、文件夹、.safetensors 文件或 Hub 编号。"
    ),
    "The model {} has no {} UNet.": "模型 {0} 没有 {1} UNet。",
    "Use method {} or auto, or another model.": "请用方法 {0} 或自动，或换一个模型。",
    "The model {} is not on this machine and the Hub cannot be reached.": "本机没有模型 {0}，且无法连接 Hub。",
    "Go online once to download it, or use the built-in model.": "请联网下载一次，或使用内置模型。",
    "The model {} is not on this machine, and going online is switched off.": "本机没有模型 {0}，且已关闭联网。",
    "The model {} is not on this machine, and the network does not let requests through to the Hub.": (
        "本机没有模型 {0}，且网络上应答的不是 Hub。"
    ),
    "Log in to the network first, as in a hotel's, or use the built-in model.": (
        "请先登录网络（如酒店网络），或使用内置模型。"
    ),
    "The Hub has no public model {}.": "Hub 上没有公开模型 {0}。",
    "Check the id; for a private model log in with `hf auth login`.": (
        "请检查编号；私有模型请先运行 `hf auth login`。"
    ),
    "{} is not the id of a model on the Hub.": "{0} 不是 Hub 上的模型。",
    "The download of the model {} was cut off after {} of a file.": "模型 {0} 的下载在 {1} 处中断。",
    "Check the network and try again: the download continues from there.": "请检查网络后重试：会从中断处继续。",
    "The download of the model {} was cut off.": "模型 {0} 的下载中断了。",
    "A file of the model {} arrived damaged twice.": "模型 {0} 的一个文件两次下载都已损坏。",
    "Try again later.": "请稍后再试。",
    "The file {} of the model {} is damaged; it has been removed.": "模型 {1} 的文件 {0} 已损坏，并已删除。",
    "Go online once to download it again.": "请联网重新下载一次。",
    "The repository {} holds no model in diffusers' layout.": "仓库 {0} 中没有 diffusers 格式的模型。",
    "Name another one.": "请换一个。",
    "An id is OWNER/NAME, in letters and digits.": "编号的形式为“所有者/名称”，由字母和数字组成。",
    "The owner of the model {} asks you to accept the terms first.": "模型 {0} 的所有者要求先接受条款。",
    "Accept them on https://huggingface.co/{}, then log in with `hf auth login`.": (
        "请在 https://huggingface.co/{0} 接受条款，再运行 `hf auth login`。"
    ),
    "The Hub refuses this machine's token ({}), and the model {} is not on this machine.": (
        "Hub 拒绝了本机的令牌（{0}），且本机没有模型 {1}。"
    ),
    "The Hub refuses access to the model {} ({}), and the model {} is not on this machine.": (
        "Hub 拒绝访问模型 {0}（{1}），且本机没有模型 {2}。"
    ),
    "The Hub has had too many requests from here ({}), and the model {} is not on this machine.": (
        "本机向 Hub 的请求过多（{0}），且本机没有模型 {1}。"
    ),
    "The Hub answers with an error ({}), and the model {} is not on this machine.": (
        "Hub 返回错误（{0}），且本机没有模型 {1}。"
    ),
    "The Hub is out of order at the moment ({}), and the model {} is not on this machine.": (
        "Hub 暂时无法使用（{0}），且本机没有模型 {1}。"
    ),
    "Log in again with `hf auth login`, or log out with `hf auth logout`.": (
        "请运行 `hf auth login` 重新登录，或运行 `hf auth logout` 退出。"
    ),
    "Log in with `hf auth login`, with a token that may read it.": "请用有读取权限的令牌运行 `hf auth login`。",
    "Wait some minutes; logging in with `hf auth login` allows more.": (
        "请等几分钟；运行 `hf auth login` 登录后允许更多请求。"
    ),
    "The model {} cannot be saved: the folder for downloads cannot be written ({}).": (
        "无法保存模型 {0}：下载文件夹不可写（{1}）。"
    ),
    "Repair it, or set HF_HOME to a folder that can be written.": "请修复它，或将 HF_HOME 设为可写的文件夹。",
    "Free some space, or set HF_HOME to a folder on another disk.": (
        "请腾出空间，或将 HF_HOME 设为另一磁盘上的文件夹。"
    ),
    "There is not enough disk space for the model {}.": "磁盘空间不足以存放模型 {0}。",
    "Try again later, or use the built-in model.": "请稍后再试，或使用内置模型。",
    "Try again in some minutes, or use the built-in model.": "请过几分钟再试，或使用内置模型。",
    "The VAE produced invalid numbers in half precision and now runs in float32.": (
        "VAE 在半精度下没有给出有效数值，改用 float32。"
    ),
    "The VAE produced invalid numbers, even in float32.": "VAE 没有给出有效数值，float32 也不行。",
    "Try another VAE or model.": "请换一个 VAE 或模型。",
}


def in_words(error: InpaintError, language: str) -> str:
    """Return the sentence of a library error in the reader's language."""
    if language == "en" or not error.problem:
        return str(error)
    return translated(error.problem, language) + translated(error.advice, language)


def translated(sentence: str, language: str) -> str:
    """Return a sentence of the library in the reader's language; in English if it has no translation."""
    if language == "en" or not sentence:
        return sentence
    for pattern, chinese in patterns():
        found = pattern.fullmatch(sentence)
        if found:
            return chinese.format(*map(_part, found.groups()))
    return sentence


def _part(text: str) -> str:
    """Return a filled-in part in Chinese if it is an option's name or a common word."""
    return OPTIONS[text][1] if text in OPTIONS else PARTS.get(text, text)


@cache
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return (pattern, Chinese) for each sentence, those with the most fixed words first."""
    rows = sorted(CHINESE.items(), key=lambda row: -len(row[0].replace("{}", "")))
    return [(re.compile(_pattern(english), re.S), chinese) for english, chinese in rows]


def _pattern(english: str) -> str:
    """Return the pattern of a sentence; where so few words are fixed, the first part is the name of an option."""
    first, *rest = map(re.escape, english.split("{}"))
    name = r"(\w+)" if english in OF_OPTIONS else "(.*?)"
    return first + (name + "(.*?)".join(rest) if rest else "")
