"""The slips of the textbook chapter, for readers who have it open beside this page."""

from __future__ import annotations

from lifelong.reports.bilingual import Text

__all__ = ["ERRATA"]

#: in the order of the book
ERRATA: tuple[Text, ...] = (
    Text(
        "Figures 16.1 to 16.4: all four captions read “self-supervised learning framework”. They show the three skills "
        "of one model, the loop of a deployed model and its feedback, and two tasks of handwritten digits (learned one "
        "after the other, then together).",
        "图 16.1 至图 16.4：四个图题都写成了“自监督学习框架”。实际内容依次是：一个模型学习三种技能、模型上线后的反馈循"
        "环、两个手写数字识别任务（先后学习，然后一起学习）。",
    ),
    Text(
        "Section 16.1: “continous learning” is spelled continuous learning, and the data set bAbi is called bAbI.",
        "16.1 节：continous learning 应为 continuous learning；数据集 bAbi 应写作 bAbI。",
    ),
    Text(
        "Section 16.2, backward transfer (BWT): the formula prints the difference R_T,i − R_T,i, which is always 0. It "
        "is R_T,i − R_i,i: the accuracy on task i at the end, minus the accuracy on it just after it was learned.",
        "16.2 节，反向迁移（BWT）：公式中的差印成了 R_T,i − R_T,i，恒等于 0。应为 R_T,i − R_i,i，即任务 i 在全部学完后"
        "的准确率，减去刚学完任务 i 时的准确率。",
    ),
    Text(
        "Section 16.3, the penalty: the text calls (θᵢ − θᵢᵇ)² a mean difference (平均差). It is the squared "
        "difference.",
        "16.3 节，正则项：正文把 (θᵢ − θᵢᵇ)² 称为“平均差”，应为差的平方（平方差）。",
    ),
    Text(
        "Section 16.3: gradient episodic memory is abbreviated GEM, not MMD (maximum mean discrepancy is another "
        "thing).",
        "16.3 节：梯度回合记忆（gradient episodic memory）的缩写是 GEM，不是 MMD（MMD 指最大均值差异，是另一个概念）。",
    ),
    Text(
        "Section 16.3: GEM did not come before regularisation. The paper on EWC appeared in December 2016, that on GEM "
        "in June 2017.",
        "16.3 节：GEM 并不早于基于正则的方法。EWC 的论文发表于 2016 年 12 月，GEM 的论文发表于 2017 年 6 月。",
    ),
    Text(
        "Section 16.3, figure 16.12: GEM does not add the two gradients. It projects: g′ is the vector nearest to g "
        "that satisfies ⟨g′, gₖ⟩ ≥ 0 for every past task k. Not the direction but this inner product must be at least "
        "0.",
        "16.3 节，图 16.12：GEM 不是把两个梯度相加，而是做投影：g′ 是满足 ⟨g′, gₖ⟩ ≥ 0（对每个旧任务 k）且离 g 最近的向"
        "量。需要大于等于 0 的是这个内积，而不是梯度方向本身。",
    ),
    Text(
        "Section 16.3: GEM does not store gradients only. It stores examples of every past task, as the paragraph "
        "itself says first, because past gradients change with the parameters and must be computed anew at every step.",
        "16.3 节：GEM 存储的不只是梯度，而是每个旧任务的一部分样本（该段开头也是这样写的），因为旧任务的梯度随参数变"
        "化，每一步都要重新计算。",
    ),
)
