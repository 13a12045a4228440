"""List the names of the request's options in English and Chinese, and their help in Chinese.

The English help is declared with each option.
"""

from __future__ import annotations

from inpaint.request import options

GROUPS = {
    "prompt": "group_prompt",
    "method": "group_method",
    "sampling": "group_sampling",
    "area": "group_area",
    "mask": "group_mask",
    "finish": "group_finish",
}

GROUP_WORDS = {
    "group_prompt": ("Words", "文字"),
    "group_method": ("Method", "方法"),
    "group_sampling": ("Sampling", "采样"),
    "group_area": ("Close-up", "特写区域"),
    "group_mask": ("Mask", "蒙版"),
    "group_finish": ("Finish", "收尾"),
}

OPTIONS: dict[str, tuple[str, str, str]] = {
    "task": ("Task", "任务", "要做什么；每项任务有自己的初始设置，已给出的设置不变。"),
    "negative_prompt": ("Avoid", "避免", "不希望出现的内容。"),
    "quality": ("Always add", "固定附加词", "附加到每个提示词之后；auto 为模型自带，留空则无。"),
    "clip_skip": ("CLIP skip", "CLIP 跳层", "略去 CLIP 的最后若干层。"),
    "text_layer": ("CLIP output", "CLIP 输出", "使用 CLIP 的哪个输出；hidden 为原文所用，不经最后归一化。"),
    "method": ("Method", "方法", "base：四通道 UNet 的带蒙版 DDIM；inpaint：九通道 UNet。"),
    "strength": ("Strength", "重绘强度", "离原图多远：1 从纯噪声开始，0 完全不变。"),
    "background": ("Hold the background", "固定背景", "每步把蒙版外换回原图（重绘模型）。"),
    "two_sided": ("… in the prediction too", "预测中也固定", "不仅在 x_t，也在预测图中换回原图。"),
    "fresh_noise": ("Fresh noise each step", "每步新噪声", "像原文那样每步重新加噪。"),
    "article": ("As in the article", "完全按原文", "严格重复原文程序，包括其怪癖。"),
    "steps": ("Steps", "步数", "去噪步数。"),
    "exact_steps": ("Exactly that many", "严格步数", "不论强度，都运行这么多步。"),
    "speed": ("Speed", "速度", "fast：多数步骤沿用上一完整步骤的结果；图像几乎相同，用时至多一半。"),
    "preset": ("Few steps", "少步预设", "少步模型或 LoRA 所需的采样器、间隔、步数和引导；auto 由名称判断。"),
    "sampler": ("Sampler", "采样器", "从噪声走到图像的方式。"),
    "spacing": ("Spacing", "步间隔", "走哪些噪声级：trailing 从纯噪声开始，leading 略低，auto 为模型自带。"),
    "eta": ("Eta", "Eta", "每步新噪声（ddim 和 tcd）：0 为无，1 为最多，auto 为模型默认。"),
    "guidance_scale": ("Guidance", "引导强度", "提示词的拉力；1 为关闭，0 忽略提示词，auto 为模型默认。"),
    "guidance_end": ("Guide until", "引导截止", "受引导的步数比例；无引导的步骤用时减半。"),
    "guidance_rescale": ("Guidance rescale", "引导重缩放", "抑制强引导的过高对比。"),
    "seed": ("Seed", "种子", "同种子同图；任意整数，auto 为随机。"),
    "count": ("Variations", "变体数量", "种子、种子+1……"),
    "whole": ("Whole picture", "整图处理", "处理整张图片，而非空洞特写。"),
    "context": ("Context, pixels", "上下文像素", "至少让模型看到周围这么多像素……"),
    "context_factor": ("Context, factor", "上下文倍数", "……且至少为空洞尺寸的这个倍数。"),
    "islands": ("Islands one by one", "逐个孤岛", "相距较远的区域各自特写处理。"),
    "size": ("Working size", "工作尺寸", "像素；auto 为模型自身尺寸。"),
    "detail": ("Detail in tiles", "分块细节", "大面积再按原图清晰度分块重绘；auto 为放大超过 1.5 倍时。"),
    "width": ("Width", "宽度", "无图片时的宽度；auto 为模型自身。"),
    "height": ("Height", "高度", "无图片时的高度；auto 为模型自身。"),
    "expand": ("Expand", "扩展", "像素：左,上,右,下，或比例如 16:9。"),
    "invert": ("Invert the mask", "反转蒙版", "交换重绘与保留部分。"),
    "mask_from_alpha": ("Repaint transparency", "重绘透明处", "重绘图片透明的部分。"),
    "soft": ("Soft mask", "软蒙版", "灰度表示可改变程度；关闭则以一半为界。"),
    "fill_holes": ("Fill holes", "填补空洞", "闭合笔画所围部分也重绘。"),
    "grow": ("Grow", "扩张", "蒙版扩张像素；负值收缩。"),
    "feather": ("Feather", "羽化", "向内柔化蒙版边缘的像素数。"),
    "margin": ("Margin", "余量", "允许模型画到蒙版外多远；这些像素不保留。"),
    "fill": (
        "Fill",
        "初始填充",
        "空洞最初的内容；patch 复制周围（强度 0 时即结果）；auto 为模糊，强度低于 1 时为原图。",
    ),
    "finish": ("Finish", "接合方式", "补丁如何接合；auto 取最不可见的接缝。"),
    "blend": ("Joint width", "接缝宽度", "蒙版内接缝的宽度（像素）。"),
    "colour_match": ("Match colours", "匹配颜色", "使补丁颜色贴近周围。"),
    "colour_hold": ("Hold colours", "保持颜色", "使补丁的大块颜色贴近初始填充。"),
    "mark_ai": ("Mark as made with AI", "标明含 AI 内容", "在文件中以 IPTC 字段标明图像经神经网络绘制。"),
    "keep_gps": ("Keep the location", "保留位置", "结果中保留拍摄地点。"),
}


def option_words() -> dict[str, tuple[str, str]]:
    """Return {option_NAME and help_NAME: (English, Chinese)}; without a translation both are English."""
    words = dict(GROUP_WORDS)
    for name, field in options().items():
        help_en = field.metadata["help"]
        label, zh, help_zh = OPTIONS.get(name, (name.replace("_", " ").capitalize(), "", ""))
        words[f"option_{name}"] = (label, zh or label)
        words[f"help_{name}"] = (help_en, help_zh or help_en)
    return words
